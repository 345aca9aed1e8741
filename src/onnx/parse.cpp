#include "onnx/parse.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <unordered_map>

#include "base/files.h"
#include "heatproof/error.h"
#include "onnx/model_file.h"

namespace heatproof {

namespace {

namespace pb = google::protobuf;
using Wire = pb::internal::WireFormatLite;

constexpr int kBlock = 1 << 20;  // bytes that are read at once
// Memory that nodes, names, shapes and attributes may take beside the bytes of the file. A million nodes take
// a third of it; two bytes of a hostile file can be a node, which takes a hundred times as much.
constexpr std::size_t kMostStructure = std::size_t{1} << 30;

class Bytes : public pb::io::CopyingInputStream {
 public:
  explicit Bytes(const ModelFile& file) : file_(file) {}
  int Read(void* buffer, int size) override {
    const std::size_t n = file_.read(at_, static_cast<char*>(buffer), static_cast<std::size_t>(size));
    at_ += n;
    return static_cast<int>(n);
  }
  int Skip(int count) override {
    const std::size_t n =
        std::min(static_cast<std::size_t>(count), file_.size() - std::min(file_.size(), at_));
    at_ += n;
    return static_cast<int>(n);
  }

 private:
  const ModelFile& file_;
  std::size_t at_ = 0;
};

/// Hashed while they are read, so that the file is never in memory as a whole.
class HashedBytes : public Bytes {
 public:
  using Bytes::Bytes;
  int Read(void* buffer, int size) override {
    const int n = Bytes::Read(buffer, size);
    hash_.add({static_cast<const char*>(buffer), static_cast<std::size_t>(n)});
    return n;
  }
  int Skip(int count) override { return CopyingInputStream::Skip(count); }  // by reading
  std::string digits() { return hash_.digits(); }

 private:
  Sha256 hash_;
};

/// What a message will take of memory, found from its bytes alone; those of weights are skipped.
class Scan {
 public:
  explicit Scan(pb::io::CodedInputStream& in) : in_(in) {}

  /// False where the bytes are no message, which parsing will say.
  bool message(const pb::Descriptor& type, int depth = 0) {
    taken_ += object(type) + sizeof(void*);
    while (taken_ <= kMostStructure) {
      const std::uint32_t tag = in_.ReadTag();
      if (tag == 0) return true;
      const auto* field = type.FindFieldByNumber(Wire::GetTagFieldNumber(tag));
      if (Wire::GetTagWireType(tag) != Wire::WIRETYPE_LENGTH_DELIMITED) {
        if (field == nullptr) taken_ += kUnknown;
        if (!Wire::SkipField(&in_, tag)) return false;
        continue;
      }
      int length = 0;
      if (!in_.ReadVarintSizeAsInt(&length)) return false;
      if (field != nullptr && field->type() == pb::FieldDescriptor::TYPE_MESSAGE) {
        if (depth >= kDeepest) return false;
        const auto limit = in_.PushLimit(length);
        if (!message(*field->message_type(), depth + 1) || in_.BytesUntilLimit() != 0) return false;
        in_.PopLimit(limit);
        continue;
      }
      if (field == nullptr || !field->is_packable()) taken_ += kString;
      if (!in_.Skip(length)) return false;
    }
    return true;
  }
  std::size_t taken() const { return taken_; }

 private:
  static constexpr int kDeepest = 100;         // as protobuf parses
  static constexpr std::size_t kUnknown = 32;  // numbers of known fields are data, and take little more
  static constexpr std::size_t kString = 48;   // and its pointer

  std::size_t object(const pb::Descriptor& type) {
    const auto [it, fresh] = objects_.try_emplace(&type, 0);
    if (fresh) it->second = pb::MessageFactory::generated_factory()->GetPrototype(&type)->SpaceUsedLong();
    return it->second;
  }

  pb::io::CodedInputStream& in_;
  std::unordered_map<const pb::Descriptor*, std::size_t> objects_;
  std::size_t taken_ = 0;
};

void check_structure(const ModelFile& bytes, const std::string& file) {
  Bytes source(bytes);
  pb::io::CopyingInputStreamAdaptor blocks(&source, kBlock);
  pb::io::CodedInputStream stream(&blocks);
  stream.SetTotalBytesLimit(INT32_MAX);
  Scan scan(stream);
  scan.message(*onnx::ModelProto::descriptor());
  if (scan.taken() > kMostStructure)
    throw InputError(
        fmt::format("{}: its nodes, names and attributes would take more than {} MB of memory, the limit; "
                    "the file is damaged, or a network that wants to be split",
                    file, kMostStructure >> 20));
}

}  // namespace

std::string parse(const std::filesystem::path& path, const std::string& file, onnx::ModelProto& proto) {
  const ModelFile bytes(path);
  if (bytes.size() > INT32_MAX)
    throw InputError(
        fmt::format("{}: has {} MB, and no .onnx file has more than 2 GB; keep weights beside it (external "
                    "data)",
                    file, bytes.size() >> 20));
  check_structure(bytes, file);
  HashedBytes source(bytes);
  {
    pb::io::CopyingInputStreamAdaptor blocks(&source, kBlock);
    pb::io::CodedInputStream stream(&blocks);
    stream.SetTotalBytesLimit(INT32_MAX);
    if (!proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
      throw InputError(
          fmt::format("{}: not an ONNX model, or truncated; check that the file was copied whole", file));
    }
  }
  if (!proto.has_graph() || proto.graph().node_size() == 0 || proto.graph().output_size() == 0) {
    throw InputError(
        fmt::format("{}: holds no network (no nodes or no outputs); export the model again", file));
  }
  return source.digits();
}

}  // namespace heatproof
