#include "onnx/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "base/files.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/import.h"
#include "onnx/order.h"
#include "ops/batching.h"

namespace heatproof {

namespace {

constexpr std::int64_t kOldestOpset = 7;
constexpr std::int64_t kNewestOpset = 28;

constexpr std::size_t kBlock = 1 << 20;  // bytes that are read at once

/// A file that is hashed while it is read, and never in memory as a whole.
class HashedFile : public google::protobuf::io::CopyingInputStream {
 public:
  explicit HashedFile(const std::filesystem::path& path) : file_(path) {}

  int Read(void* buffer, int size) override {
    const std::string block = file_.read(at_, static_cast<std::size_t>(size));
    std::memcpy(buffer, block.data(), block.size());
    hash_.add(block);
    at_ += block.size();
    return static_cast<int>(block.size());
  }
  std::size_t size() const { return file_.size(); }
  std::string digits() { return hash_.digits(); }

 private:
  FileReader file_;
  Sha256 hash_;
  std::size_t at_ = 0;
};

std::string hash_of_file(const std::filesystem::path& path) {
  HashedFile file(path);
  std::string block(kBlock, '\0');
  while (file.Read(block.data(), static_cast<int>(kBlock)) > 0) {
  }
  return file.digits();
}

/// Returns the hash of the file.
std::string parse(const std::filesystem::path& path, const std::string& file, onnx::ModelProto& proto) {
  HashedFile source(path);
  google::protobuf::io::CopyingInputStreamAdaptor blocks(&source, static_cast<int>(kBlock));
  google::protobuf::io::CodedInputStream stream(&blocks);
  stream.SetTotalBytesLimit(INT32_MAX);
  if (source.size() > INT32_MAX || !proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
    throw InputError(
        fmt::format("{}: not an ONNX model, or truncated; check that the file was copied whole", file));
  }
  if (!proto.has_graph() || proto.graph().node_size() == 0 || proto.graph().output_size() == 0) {
    throw InputError(
        fmt::format("{}: holds no network (no nodes or no outputs); export the model again", file));
  }
  return source.digits();
}

bool is_standard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

std::int64_t opset_of(const onnx::ModelProto& proto, const std::string& file) {
  std::int64_t opset = proto.opset_import_size() == 0 ? 1 : 0;
  bool declared = opset == 1;
  for (const auto& entry : proto.opset_import()) {
    if (!is_standard(entry.domain())) continue;
    if (declared && opset != entry.version())
      throw InputError(fmt::format("{}: says that it is of opset {} and of opset {}; export it again", file,
                                   opset, entry.version()));
    opset = entry.version(), declared = true;
  }
  if (!declared) {
    // Trees and the like use operators of other domains alone, which are refused by name.
    const auto& nodes = proto.graph().node();
    const auto node = std::ranges::find_if(nodes, [](const auto& n) { return is_standard(n.domain()); });
    if (node == nodes.end()) return 0;
    throw InputError(fmt::format(
        "{}: says of no version of ONNX's operators, such as {}; set opset_import when exporting it", file,
        node->op_type()));
  }
  if (opset > kNewestOpset) {
    throw UnsupportedError(fmt::format(
        "{}: opset {} is newer than {}, and its operators may mean something else; convert it with "
        "onnx.version_converter",
        file, opset, kNewestOpset));
  }
  if (opset < kOldestOpset) {
    throw UnsupportedError(fmt::format(
        "{}: opset {} is older than {}; convert it with onnx.version_converter", file, opset, kOldestOpset));
  }
  return opset;
}

std::optional<DType> dtype_of(int type) {
  using P = onnx::TensorProto;
  if (type == P::FLOAT || type == P::FLOAT16 || type == P::BFLOAT16 || type == P::DOUBLE) return DType::f32;
  if (type == P::INT64 || type == P::INT32) return DType::i64;
  if (type == P::BOOL) return DType::boolean;
  return std::nullopt;
}

std::vector<ModelInput> inputs_of(const Model::Contents& c, const std::string& file) {
  std::vector<ModelInput> inputs;
  for (const auto& value : c.proto.graph().input()) {
    if (c.weights.contains(value.name())) continue;
    const auto& type = value.type().tensor_type();
    const auto dtype = dtype_of(type.elem_type());
    if (!dtype || !type.has_shape())
      throw UnsupportedError(
          fmt::format("{}: input '{}' is not a tensor of numbers with a shape", file, value.name()));
    ModelInput input{value.name(), *dtype, {}};
    for (const auto& d : type.shape().dim()) {
      const bool fixed = d.has_dim_value() && d.dim_value() > 0;
      input.dims.push_back(fixed ? std::optional<std::int64_t>(d.dim_value()) : std::nullopt);
    }
    inputs.push_back(std::move(input));
  }
  if (inputs.empty()) throw InputError(fmt::format("{}: the network has no input", file));
  return inputs;
}

/// Of the file, and of all that lies beside it.
std::string hash_of(std::string fingerprint, const onnx::ModelProto& proto,
                    const std::filesystem::path& folder) {
  const auto files = external_files(proto, folder);
  if (files.empty()) return fingerprint;
  for (const auto& [name, path] : files) fingerprint += hash_of_file(path);
  return sha256(fingerprint);
}

/// Whether a node is a call of one of the model's own functions, which may have any name.
bool is_call(const onnx::ModelProto& proto, const onnx::NodeProto& node) {
  return std::ranges::any_of(proto.functions(), [&](const onnx::FunctionProto& f) {
    return f.name() == node.op_type() &&
           (f.domain() == node.domain() || (is_standard(f.domain()) && is_standard(node.domain())));
  });
}

/// Runs `f`, adding file, node and operator to the message of whatever it throws.
template <typename F>
auto with_context(const std::string& file, const onnx::NodeProto& node, F&& f) {
  const auto where = [&](const std::exception& e) {
    const std::string name = !node.name().empty()     ? node.name()
                             : node.output_size() > 0 ? node.output(0)
                                                      : "";
    return fmt::format("{}: node '{}' ({}): {}", file, name, node.op_type(), e.what());
  };
  try {
    return f();
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(where(e));
  } catch (const std::exception& e) {
    throw InputError(where(e));
  }
}

class Specializer {
 public:
  Specializer(const Model& model, const Model::Contents& c, const Specialization& wanted)
      : model_(model),
        c_(c),
        wanted_(wanted),
        file_(c.path.filename().string()),
        folder_(c.path.parent_path()) {}

  Graph run() {
    for (const ModelInput& input : c_.inputs)
      values_[input.name] = builder_.input(input.name, {input.dtype, shape_of(input)});
    for (const auto& node : c_.proto.graph().node()) {
      with_context(file_, node, [&] { import(node); });
    }
    for (const auto& output : c_.proto.graph().output()) {
      const auto it = values_.find(output.name());
      if (it == values_.end())
        throw_unknown(fmt::format("{}: output '{}' is ", file_, output.name()), output.name());
      builder_.output(output.name(), it->second);
    }
    return builder_.build();
  }

 private:
  Shape shape_of(const ModelInput& input) const {
    Shape shape;
    const auto given = wanted_.shapes.find(input.name);
    for (std::size_t i = 0; i < input.dims.size(); ++i) {
      std::optional<std::int64_t> d = input.dims[i];
      if (given != wanted_.shapes.end()) {
        if (given->second.size() != input.dims.size()) {
          throw InputError(fmt::format("{}: input '{}' has {} axes, data of shape {} was given", file_,
                                       input.name, input.dims.size(), to_string(given->second)));
        }
        if (i > 0 && d && given->second[i] > 0 && *d != given->second[i]) {
          throw InputError(fmt::format(
              "{}: input '{}' takes {} along axis {}, data of shape {} was given; use --size or other data",
              file_, input.name, *d, i, to_string(given->second)));
        }
        if (given->second[i] > 0) d = given->second[i];
      }
      if (i == 0 && (given == wanted_.shapes.end() || given->second[0] <= 0)) d = wanted_.batch;
      if (!d) {
        throw InputError(
            fmt::format("{}: axis {} of input '{}' is open; give its size with --size or data of that shape",
                        file_, i, input.name));
      }
      shape.push_back(*d);
    }
    if (shape.elements() > (std::int64_t{1} << 33))
      throw InputError(fmt::format("{}: input '{}' of shape {} is too large; use a smaller batch", file_,
                                   input.name, to_string(shape)));
    return shape;
  }

  Value value(const std::string& name) {
    if (name.empty()) return {};
    if (const auto it = values_.find(name); it != values_.end()) return it->second;
    if (const auto it = c_.weights.find(name); it != c_.weights.end())
      return values_[name] = builder_.constant(it->second, name);
    throw_unknown(fmt::format("input '{}' is ", name), name);
  }

  [[noreturn]] void throw_unknown(const std::string& what, const std::string& name) const {
    if (const auto it = missing_.find(name); it != missing_.end())
      throw UnsupportedError(fmt::format("{}{}, which is not supported", what, it->second));
    throw InputError(what + "neither an input, a weight nor computed before; the file is damaged");
  }

  void import(const onnx::NodeProto& node) {
    std::vector<Value> inputs;
    for (const std::string& name : node.input()) inputs.push_back(value(name));
    const std::int64_t declared = model_.declared_batch().value_or(0);
    Asked asked;
    const Importing importing{builder_, node,          std::move(inputs),
                              c_.opset, wanted_.batch, declared != wanted_.batch ? declared : 0,
                              folder_,  asked};
    const auto it = importers().find(node.op_type());
    if (it == importers().end() || !is_standard(node.domain()))
      throw UnsupportedError("the operator is not supported");
    importing.check_numbers();
    const std::vector<Value> results = it->second(importing);
    importing.check_asked();
    for (int i = 0; i < node.output_size(); ++i) {
      const std::string& name = node.output(i);
      if (name.empty()) continue;
      if (values_.contains(name) || c_.weights.contains(name))
        throw InputError(
            fmt::format("'{}' is computed, though there is one already; export the model again", name));
      const auto k = static_cast<std::size_t>(i);
      if (k < results.size() && importing.is_sound(results[k]))
        values_[name] = results[k];
      else
        missing_[name] =
            fmt::format("{} of node '{}' ({})",
                        k < results.size() ? "integers, the result" : fmt::format("output {}", k + 1),
                        importing.name(), node.op_type());
    }
  }

  const Model& model_;
  const Model::Contents& c_;
  const Specialization& wanted_;
  std::string file_;
  std::filesystem::path folder_;
  Builder builder_;
  std::map<std::string, Value> values_;
  std::map<std::string, std::string> missing_;  // outputs of nodes that importers do not give, and whose
};

/// The network of one row of a network that was written for `declared` rows, where that is proven: with as
/// many rows, each computed as if it were alone, it is node for node the network as it was written.
std::optional<Graph> one_row(const std::function<Graph(const Specialization&)>& as_written,
                             const Specialization& one, std::int64_t declared,
                             const std::vector<bool>& shared) {
  Specialization all = one;
  all.batch = declared;
  try {
    Graph row = as_written(one);
    const Graph wanted = as_written(all);
    const Graph rows = batched(row, declared, shared);
    if (same_function(rows, wanted) || same_function(canonicalize(rows), canonicalize(wanted))) return row;
  } catch (const Error&) {  // its shapes do not fit one row
  }
  return std::nullopt;
}

std::vector<UnsupportedNode> find_unsupported(const onnx::ModelProto& proto) {
  std::vector<UnsupportedNode> nodes;
  for (const auto& node : proto.graph().node()) {
    const bool standard = is_standard(node.domain());
    const bool call = is_call(proto, node);
    if (standard && !call && importers().contains(node.op_type())) continue;
    const std::string name = !node.name().empty()     ? node.name()
                             : node.output_size() > 0 ? node.output(0)
                                                      : "";
    nodes.push_back({name, standard ? node.op_type() : node.domain() + "." + node.op_type(),
                     call ? "is a function of the model" : "operator is not supported"});
  }
  return nodes;
}

}  // namespace

Model Model::inspect(const std::filesystem::path& path) {
  const std::string file = path.filename().string();
  auto c = std::make_shared<Contents>();
  c->path = path;
  std::string fingerprint = parse(path, file, c->proto);
  c->opset = opset_of(c->proto, file);
  try {
    sort_nodes(*c->proto.mutable_graph());
    for (auto& t : *c->proto.mutable_graph()->mutable_initializer()) {
      if (c->weights.contains(t.name()))
        throw InputError(fmt::format("there are two weights '{}'; export the model again", t.name()));
      c->weights[t.name()] = read_tensor(t, path.parent_path());
      const std::unique_ptr<std::string> converted(t.release_raw_data());  // freed at once
    }
    for (const auto& t : c->proto.graph().sparse_initializer())
      throw UnsupportedError(
          fmt::format("weights '{}' are sparse; export the model with dense ones", t.values().name()));
    c->hash = hash_of(std::move(fingerprint), c->proto, path.parent_path());
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(fmt::format("{}: {}", file, e.what()));
  } catch (const std::exception& e) {
    throw InputError(fmt::format("{}: {}", file, e.what()));
  }
  // Converted above; swapped out, since a field that is cleared keeps its memory.
  google::protobuf::RepeatedPtrField<onnx::TensorProto>().Swap(
      c->proto.mutable_graph()->mutable_initializer());
  c->inputs = inputs_of(*c, file);
  c->unsupported = find_unsupported(c->proto);
  Model model;
  model.contents_ = std::move(c);
  return model;
}

Model Model::load(const std::filesystem::path& path) {
  Model model = inspect(path);
  model.check_supported();
  return model;
}

void Model::check_supported() const {
  if (unsupported().empty()) return;
  std::string list;
  bool calls = false;
  for (const UnsupportedNode& n : unsupported()) {
    calls |= n.reason.starts_with("is a function");
    list += fmt::format("{}'{}' ({})", list.empty() ? "" : ", ", n.node, n.op);
  }
  throw UnsupportedError(fmt::format(
      "{}: {} node(s) have operators that heatproof does not support: {}; export the model with "
      "standard ONNX operators{}",
      path().filename().string(), unsupported().size(), list,
      calls ? ", or inline the functions of the model (onnx.inliner.inline_local_functions)" : ""));
}

const std::filesystem::path& Model::path() const { return contents_->path; }
const std::string& Model::hash() const { return contents_->hash; }
const std::vector<ModelInput>& Model::inputs() const { return contents_->inputs; }
std::int64_t Model::opset() const { return contents_->opset; }
const std::vector<UnsupportedNode>& Model::unsupported() const { return contents_->unsupported; }

std::string Model::producer() const {
  const auto& p = contents_->proto;
  return p.producer_version().empty() ? p.producer_name() : p.producer_name() + " " + p.producer_version();
}

std::vector<std::string> Model::outputs() const {
  std::vector<std::string> names;
  for (const auto& o : contents_->proto.graph().output()) names.push_back(o.name());
  return names;
}

std::optional<std::int64_t> Model::declared_batch() const {
  const auto& dims = contents_->inputs.front().dims;
  return dims.empty() ? std::nullopt : dims[0];
}

Graph Model::specialize(const Specialization& wanted) const {
  const auto as_written = [&](const Specialization& s) { return Specializer(*this, *contents_, s).run(); };
  const std::int64_t declared = declared_batch().value_or(wanted.batch);
  if (declared == wanted.batch) return as_written(wanted);
  // Inputs that begin with the batch have one row in the network of one; others are there for all rows.
  Specialization one = wanted;
  one.batch = 1;
  std::vector<bool> shared;
  for (const ModelInput& input : inputs()) {
    const auto given = one.shapes.find(input.name);
    const bool sized = given != one.shapes.end() && !given->second.empty();
    const bool leads = !input.dims.empty() && input.dims[0].value_or(declared) == declared &&
                       (!sized || given->second[0] <= 0 || given->second[0] == wanted.batch);
    if (leads && sized) given->second[0] = -1;
    shared.push_back(!leads);
  }
  if (declared == 1) return batched(as_written(one), wanted.batch, shared);
  if (const auto row = one_row(as_written, one, declared, shared))
    return wanted.batch == 1 ? *row : batched(*row, wanted.batch, shared);
  throw UnsupportedError(fmt::format(
      "{}: was written for batches of {}, and nothing proves what it gives for {} rows; run it with "
      "--batch {}, or export it with an open batch or with a batch of 1",
      path().filename().string(), declared, wanted.batch, declared));
}

}  // namespace heatproof
