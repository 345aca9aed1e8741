// Data that lies beside an .onnx file: where it may lie, what of it is read, and what a model hangs on.
#include "onnx/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "heatproof/error.h"
#include "onnx/model_file.h"

namespace heatproof {

namespace {

// Regions that are read twice are rare, and int8 takes eight times as much once it is converted: what all
// external tensors take may be so many times their files, and something for small ones. Otherwise a hundred
// thousand tensors that name one region would take terabytes.
constexpr std::size_t kMostTimes = 16;
constexpr std::size_t kSmall = std::size_t{256} << 20;
constexpr std::size_t kBlock = 1 << 20;  // bytes that are hashed at once

[[noreturn]] void fail(const onnx::TensorProto& proto, const std::string& what) {
  throw InputError(fmt::format("tensor '{}': {}", abbreviated(proto.name()), what));
}

/// What becomes of external data.
enum class Use { weight, attribute, hash };

/// A tensor whose data lies beside the model, and where.
struct External {
  onnx::TensorProto* proto;
  Use use;
  std::size_t offset = 0, length = 0;
  bool sized = false;  // else it reaches to the end of the file
};

/// Calls f(tensor, use) for all that results can hang on, in nodes, subgraphs and functions, too. Messages
/// are as deep as protobuf parses (100 levels), so that recursion ends.
template <typename F>
class Visitor {
 public:
  explicit Visitor(F f) : f_(std::move(f)) {}

  void model(onnx::ModelProto& model) {
    graph(*model.mutable_graph(), true);
    for (auto& function : *model.mutable_functions())
      for (auto& node : *function.mutable_node()) attributes(node, Use::hash);
  }

 private:
  void graph(onnx::GraphProto& graph, bool outermost) {
    for (auto& t : *graph.mutable_initializer()) f_(t, outermost ? Use::weight : Use::hash);
    for (auto& t : *graph.mutable_sparse_initializer()) sparse(t);
    for (auto& node : *graph.mutable_node()) attributes(node, outermost ? Use::attribute : Use::hash);
  }
  void attributes(onnx::NodeProto& node, Use use) {
    for (onnx::AttributeProto& a : *node.mutable_attribute()) attribute(a, use);
  }
  void attribute(onnx::AttributeProto& a, Use use) {
    if (a.has_t()) f_(*a.mutable_t(), use);
    for (auto& t : *a.mutable_tensors()) f_(t, Use::hash);
    if (a.has_sparse_tensor()) sparse(*a.mutable_sparse_tensor());
    for (auto& t : *a.mutable_sparse_tensors()) sparse(t);
    if (a.has_g()) graph(*a.mutable_g(), false);
    for (auto& g : *a.mutable_graphs()) graph(g, false);
  }
  void sparse(onnx::SparseTensorProto& t) {
    if (t.has_values()) f_(*t.mutable_values(), Use::hash);
    if (t.has_indices()) f_(*t.mutable_indices(), Use::hash);
  }

  F f_;
};

std::size_t number(const onnx::TensorProto& proto, const std::string& key, const std::string& text) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0)
    fail(proto, fmt::format("external data has {} = '{}', which is no size; the file is damaged, export it "
                            "again",
                            key, abbreviated(text)));
  return static_cast<std::size_t>(value);
}

/// What the entries of a tensor say; returns the name of the file.
std::string read_entries(External& external) {
  const onnx::TensorProto& proto = *external.proto;
  std::map<std::string, std::string> said;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() != "location" && entry.key() != "offset" && entry.key() != "length") continue;
    if (!said.try_emplace(entry.key(), entry.value()).second && said[entry.key()] != entry.value())
      fail(proto, fmt::format("external data has two of {}; export the model again", entry.key()));
  }
  if (said.contains("offset")) external.offset = number(proto, "offset", said["offset"]);
  external.sized = said.contains("length");
  if (external.sized) external.length = number(proto, "length", said["length"]);
  if (external.use != Use::hash) {
    const auto needed = static_cast<std::size_t>(data_bytes(proto));
    if (external.sized && external.length != needed)
      fail(proto,
           fmt::format("external data has {} bytes, and its shape needs {}; the file is damaged, export "
                       "it again",
                       external.length, needed));
    external.length = needed, external.sized = true;
  }
  return said["location"];
}

class ExternalData {
 public:
  ExternalData(const std::filesystem::path& folder, std::map<std::string, Tensor>& weights)
      : folder_(folder), weights_(weights) {}

  void add(External external) {
    // What no graph can hold is left to whoever wants to use it.
    if (external.use == Use::attribute && !is_known(*external.proto)) external.use = Use::hash;
    std::string location = read_entries(external);
    by_file_[std::move(location)].push_back(external);
  }

  /// Reads all, once it is known to be there and not too much; returns the hash.
  std::string read() {
    each_file([&](const ModelFile& file, const std::vector<External>& tensors) { check(file, tensors); });
    if (taken_ / kMostTimes > there_ + kSmall / kMostTimes)
      throw InputError(fmt::format(
          "tensors take {} MB from {} MB of external data; more than {} times as much is refused; export the "
          "model again",
          taken_ >> 20, there_ >> 20, kMostTimes));
    std::string hashes;
    each_file(
        [&](const ModelFile& file, const std::vector<External>& tensors) { read(file, tensors, hashes); });
    return hashes.empty() ? hashes : sha256(hashes);
  }

 private:
  using Region = std::pair<std::size_t, std::size_t>;

  template <typename F>
  void each_file(F f) {
    for (const auto& [location, tensors] : by_file_) {
      const auto file = [&] {
        try {
          return ModelFile::beneath(folder_, location);
        } catch (const InputError& e) {
          fail(*tensors.front().proto, e.what());
        }
      }();
      f(file, tensors);
    }
  }

  static Region region_of(const ModelFile& file, const External& t) {
    const std::size_t left = file.size() - std::min(file.size(), t.offset);
    const std::size_t length = t.sized ? t.length : left;
    if (t.offset > file.size() || length > left)
      fail(*t.proto,
           fmt::format("external data asks for {} bytes at {} of a file of {}; it is damaged, or was "
                       "not copied whole",
                       length, t.offset, file.size()));
    return {t.offset, length};
  }

  /// Of all regions together: files may have holes, and be as long as they like.
  static std::size_t bytes_of(const std::set<Region>& regions) {
    std::size_t bytes = 0;
    std::size_t end = 0;
    for (const auto& [offset, length] : regions) {
      const std::size_t first = std::max(end, offset);
      end = std::max(end, offset + length);
      bytes += end - std::min(end, first);
    }
    return bytes;
  }

  void check(const ModelFile& file, const std::vector<External>& tensors) {
    std::set<Region> named;
    for (const External& t : tensors) named.insert(region_of(file, t));
    if (files_.insert(file.identity()).second) there_ += bytes_of(named);
    std::set<Region> hashed;
    for (const External& t : tensors) {
      const Region region = region_of(file, t);
      std::size_t bytes = region.second;
      if (t.use == Use::weight) {
        const ElementFormat format = element_format(*t.proto);
        bytes = bytes / static_cast<std::size_t>(format.bytes) * size_of(format.dtype);
      }
      if (t.use != Use::hash || hashed.insert(region).second) taken_ += bytes;
    }
  }

  void read(const ModelFile& file, const std::vector<External>& tensors, std::string& hashes) {
    std::map<Region, std::string> known;  // their hashes
    for (const External& t : tensors) {
      const Region region = region_of(file, t);
      std::string& hash = known[region];
      if (t.use == Use::hash) {
        if (hash.empty()) hash = hash_of(file, t, region.second);
      } else {
        std::string data(region.second, '\0');
        if (file.read(t.offset, data.data(), data.size()) != data.size()) fail_shrunk(t);
        if (hash.empty()) hash = sha256(data);
        keep(t, std::move(data));
      }
      hashes += hash;
    }
  }

  static std::string hash_of(const ModelFile& file, const External& t, std::size_t length) {
    Sha256 hash;
    std::string block(std::min(kBlock, length), '\0');
    for (std::size_t done = 0; done < length; done += block.size()) {
      block.resize(std::min(kBlock, length - done));
      if (file.read(t.offset + done, block.data(), block.size()) != block.size()) fail_shrunk(t);
      hash.add(block);
    }
    return hash.digits();
  }

  void keep(const External& t, std::string data) {
    if (t.use == Use::weight) {
      weights_[t.proto->name()] = read_tensor(*t.proto, data);
      return;
    }
    t.proto->set_raw_data(std::move(data));
    t.proto->clear_data_location();
    t.proto->clear_external_data();
  }

  [[noreturn]] static void fail_shrunk(const External& t) {
    fail(*t.proto, "external data became shorter while it was read; load the model again");
  }

  const std::filesystem::path& folder_;
  std::map<std::string, Tensor>& weights_;
  std::map<std::string, std::vector<External>> by_file_;
  std::set<std::pair<dev_t, ino_t>> files_;
  std::size_t there_ = 0;  // bytes of files
  std::size_t taken_ = 0;  // by tensors
};

}  // namespace

bool is_external(const onnx::TensorProto& proto) {
  return proto.data_location() == onnx::TensorProto::EXTERNAL;
}

std::string read_weights(onnx::ModelProto& proto, const std::filesystem::path& folder,
                         std::map<std::string, Tensor>& weights) {
  ExternalData external(folder, weights);
  Visitor visitor([&](onnx::TensorProto& t, Use use) {
    if (use == Use::weight && !weights.try_emplace(t.name()).second)
      throw InputError(
          fmt::format("there are two weights '{}'; export the model again", abbreviated(t.name())));
    if (is_external(t)) {
      external.add({&t, use});
    } else if (use == Use::weight) {
      weights[t.name()] = read_tensor(t);
      const std::unique_ptr<std::string> converted(t.release_raw_data());  // freed at once
    }
  });
  visitor.model(proto);
  std::string hash = external.read();
  // Converted above; swapped out, since a field that is cleared keeps its memory.
  google::protobuf::RepeatedPtrField<onnx::TensorProto>().Swap(proto.mutable_graph()->mutable_initializer());
  return hash;
}

}  // namespace heatproof
