// The zip container of .npz files: stored and deflated entries, sizes from the central directory, zip64.
#include <fmt/format.h>
#include <zlib.h>

#include "base/files.h"
#include "data/npy.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{16} << 30;

class Zip {
 public:
  Zip(std::string bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}

  std::map<std::string, Tensor> read() {
    auto [entries, offset] = directory();
    std::map<std::string, Tensor> arrays;
    for (std::uint64_t i = 0; i < entries; ++i) offset = entry(offset, arrays);
    return arrays;
  }
  /// Arrays of uint8 among those that were read.
  std::set<std::string> pixels;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {}; save it again with numpy.savez", name_, what));
  }

  std::uint64_t number(std::uint64_t at, int size) const {
    if (at > bytes_.size() || bytes_.size() - at < static_cast<std::size_t>(size))
      fail("the zip is truncated");
    std::uint64_t value = 0;
    for (int i = size; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes_[at + static_cast<std::size_t>(i)]);
    return value;
  }

  std::pair<std::uint64_t, std::uint64_t> directory() const {
    const std::size_t end = bytes_.rfind("PK\x05\x06");
    if (end == std::string::npos) fail("not a zip file, or truncated");
    std::uint64_t entries = number(end + 10, 2);
    std::uint64_t offset = number(end + 16, 4);
    if (entries == 0xffff || offset == 0xffffffff) {
      const std::size_t locator = bytes_.rfind("PK\x06\x07", end);
      if (locator == std::string::npos) fail("its zip64 directory is missing");
      const std::uint64_t record = number(locator + 8, 8);
      entries = number(record + 32, 8);
      offset = number(record + 48, 8);
    }
    if (entries > 100'000) fail("it claims too many entries");
    return {entries, offset};
  }

  std::uint64_t entry(std::uint64_t at, std::map<std::string, Tensor>& arrays) {
    if (number(at, 4) != 0x02014b50) fail("its directory is damaged");
    const std::uint64_t method = number(at + 10, 2);
    std::uint64_t packed = number(at + 20, 4);
    std::uint64_t size = number(at + 24, 4);
    const std::uint64_t name_length = number(at + 28, 2);
    const std::uint64_t extra_length = number(at + 30, 2);
    std::uint64_t local = number(at + 42, 4);
    const std::uint64_t next = at + 46 + name_length + extra_length + number(at + 32, 2);
    if (next > bytes_.size()) fail("its directory is truncated");
    std::string name = bytes_.substr(at + 46, name_length);
    // zip64 sizes stand in an extra field, in this order, only where the 32-bit ones are full.
    for (std::uint64_t e = at + 46 + name_length; e + 4 <= at + 46 + name_length + extra_length;) {
      const std::uint64_t length = number(e + 2, 2);
      if (number(e, 2) == 1) {
        std::uint64_t field = e + 4;
        for (std::uint64_t* value : {&size, &packed, &local}) {
          if (*value == 0xffffffff) {
            *value = number(field, 8);
            field += 8;
          }
        }
      }
      e += 4 + length;
    }
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    const std::string npy = content(local, method, packed, size);
    const std::string what = fmt::format("{}: array '{}'", name_, name);
    arrays[name] = parse_npy(npy, what);
    if (holds_bytes(npy, what)) pixels.insert(name);
    return next;
  }

  std::string content(std::uint64_t local, std::uint64_t method, std::uint64_t packed,
                      std::uint64_t size) const {
    if (number(local, 4) != 0x04034b50) fail("an entry is damaged");
    const std::uint64_t start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
    if (start > bytes_.size() || packed > bytes_.size() - start) fail("an entry is truncated");
    if (method == 0) return bytes_.substr(start, packed);
    if (method != 8) fail(fmt::format("compression method {} is not supported", method));
    if (size > kMostBytes || size / 1100 > packed) fail("an entry claims an impossible size");
    std::string out(size, '\0');
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error("zlib cannot start");
    std::uint64_t in_done = 0;
    std::uint64_t out_done = 0;
    int status = Z_OK;
    while (status == Z_OK && (in_done < packed || out_done < size)) {
      const std::uint64_t in_part = std::min<std::uint64_t>(packed - in_done, 1U << 30);
      const std::uint64_t out_part = std::min<std::uint64_t>(size - out_done, 1U << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes_.data() + start + in_done));
      stream.avail_in = static_cast<uInt>(in_part);
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + out_done);
      stream.avail_out = static_cast<uInt>(out_part);
      status = inflate(&stream, Z_NO_FLUSH);
      in_done += in_part - stream.avail_in;
      out_done += out_part - stream.avail_out;
      if (in_part == stream.avail_in && out_part == stream.avail_out) break;
    }
    inflateEnd(&stream);
    if (out_done != size || (status != Z_STREAM_END && status != Z_OK)) fail("an entry cannot be unpacked");
    return out;
  }

  std::string bytes_, name_;
};

}  // namespace

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path) {
  std::set<std::string> bytes;
  return read_npz(path, bytes);
}

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path, std::set<std::string>& bytes) {
  Zip zip(read_file(path), path.filename().string());
  auto arrays = zip.read();
  bytes = std::move(zip.pixels);
  return arrays;
}

}  // namespace heatproof
