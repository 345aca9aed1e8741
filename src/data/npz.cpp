// The zip container of .npz files: stored and deflated entries, sizes from the central directory, zip64.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

#include "base/files.h"
#include "base/text.h"
#include "data/npy.h"
#include "data/npy_header.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// A file that is unpacked to more than this, and to more than a hundred times its size, was made to fill the
/// memory: arrays of numbers hardly reach a tenth of that, and large masks stay below the first number.
constexpr std::uint64_t kMostUnpacked = std::uint64_t{3} << 29;
constexpr std::uint64_t kMostRatio = 100;
constexpr std::uint64_t kMostEntries = 100'000;

/// An entry of the directory.
struct Entry {
  std::string name;
  std::uint64_t flags = 0, method = 0, check = 0, packed = 0, size = 0, local = 0;
};

class Zip {
 public:
  Zip(std::string bytes, std::string name) : bytes_(std::move(bytes)), name_(std::move(name)) {}

  std::map<std::string, Tensor> read() {
    auto [entries, offset] = directory();
    std::map<std::string, Tensor> arrays;
    for (std::uint64_t i = 0; i < entries; ++i) {
      Entry e;
      offset = read_entry(offset, e);
      if (e.name.ends_with(".npy")) e.name.resize(e.name.size() - 4);
      const std::string what = fmt::format("{}: array '{}'", name_, abbreviated(e.name, 60));
      if (arrays.contains(e.name)) fail(fmt::format("holds two arrays named '{}'", abbreviated(e.name, 60)));
      const std::string npy = content(e);
      const NpyHeader h = parse_npy_header(npy, npy.size(), what);
      take(static_cast<std::uint64_t>(h.shape.elements()) * size_of(h.dtype()));
      arrays[e.name] = parse_npy(npy, what);
      if (h.pixels()) pixels.insert(e.name);
      taken_ -= npy.size();  // it is freed
    }
    return arrays;
  }
  /// Arrays of uint8 among those that were read.
  std::set<std::string> pixels;

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {}; save it again with numpy.savez", name_, what));
  }

  /// Counts memory before it is taken.
  void take(std::uint64_t bytes) {
    taken_ += bytes;
    if (taken_ > std::max<std::uint64_t>(kMostUnpacked, kMostRatio * bytes_.size()))
      throw InputError(
          fmt::format("{}: has {} bytes and would take {} MB of memory, more than {} times as much; save its "
                      "arrays as .npy",
                      name_, bytes_.size(), taken_ >> 20, kMostRatio));
  }

  std::uint64_t number(std::uint64_t at, int size) const {
    if (at > bytes_.size() || bytes_.size() - at < static_cast<std::size_t>(size))
      fail("the zip is truncated");
    std::uint64_t value = 0;
    for (int i = size; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes_[at + static_cast<std::size_t>(i)]);
    return value;
  }

  /// The number of entries, and where the first is.
  std::pair<std::uint64_t, std::uint64_t> directory() const {
    if (bytes_.empty()) fail("is empty");
    const std::size_t end = bytes_.rfind("PK\x05\x06");
    if (end == std::string::npos || end + 22 + number(end + 20, 2) != bytes_.size())
      fail("not a zip file, or truncated");
    std::uint64_t entries = number(end + 10, 2);
    std::uint64_t offset = number(end + 16, 4);
    if (entries == 0xffff || offset == 0xffffffff) {
      if (end < 20 || number(end - 20, 4) != 0x07064b50) fail("its zip64 directory is missing");
      const std::uint64_t record = number(end - 20 + 8, 8);
      if (record > end || number(record, 4) != 0x06064b50) fail("its zip64 directory is damaged");
      entries = number(record + 32, 8);
      offset = number(record + 48, 8);
    }
    if (entries > kMostEntries) fail("it claims too many entries");
    return {entries, offset};
  }

  /// Returns where the next one is.
  std::uint64_t read_entry(std::uint64_t at, Entry& e) const {
    if (number(at, 4) != 0x02014b50) fail("its directory is damaged");
    e.flags = number(at + 8, 2);
    e.method = number(at + 10, 2);
    e.check = number(at + 16, 4);
    e.packed = number(at + 20, 4);
    e.size = number(at + 24, 4);
    const std::uint64_t name_length = number(at + 28, 2);
    const std::uint64_t extra_length = number(at + 30, 2);
    e.local = number(at + 42, 4);
    const std::uint64_t extra = at + 46 + name_length;
    const std::uint64_t next = extra + extra_length + number(at + 32, 2);
    if (next > bytes_.size()) fail("its directory is truncated");
    e.name = bytes_.substr(at + 46, name_length);
    // zip64 sizes stand in an extra field, in this order, only where the 32-bit ones are full.
    for (std::uint64_t x = extra; x + 4 <= extra + extra_length;) {
      const std::uint64_t length = number(x + 2, 2);
      std::uint64_t field = x + 4;
      for (std::uint64_t* value : {&e.size, &e.packed, &e.local}) {
        if (number(x, 2) != 1 || *value != 0xffffffff) continue;
        *value = number(field, 8);
        field += 8;
      }
      x += 4 + length;
    }
    return next;
  }

  /// Unpacked.
  std::string content(const Entry& e) {
    const std::string array = fmt::format("array '{}'", abbreviated(e.name, 60));
    if (number(e.local, 4) != 0x04034b50) fail(array + " is damaged");
    const std::uint64_t start = e.local + 30 + number(e.local + 26, 2) + number(e.local + 28, 2);
    if (start > bytes_.size() || e.packed > bytes_.size() - start) fail(array + " is truncated");
    if ((e.flags & 1) != 0) fail(array + " is encrypted");
    if (e.method != 0 && e.method != 8)
      fail(fmt::format("{} is compressed by a method ({}) that is not supported", array, e.method));
    if (e.method == 0 ? e.size != e.packed : e.size / 1100 > e.packed)
      fail(array + " claims an impossible size");
    take(e.size);
    std::string out = e.method == 0 ? bytes_.substr(start, e.packed) : std::string(e.size, '\0');
    if (e.method == 8 && !inflate_into(out, std::string_view(bytes_).substr(start, e.packed)))
      fail(array + " cannot be unpacked, it is damaged");
    if (crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size()) != e.check)
      fail(array + " is damaged: its checksum is another");
    return out;
  }

  /// Whether a deflated stream fills `out`, and no more.
  static bool inflate_into(std::string& out, std::string_view in) {
    constexpr std::size_t kPart = 1U << 30;  // zlib counts in 32 bits
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error("zlib cannot start");
    std::size_t done = 0;
    char beyond = 0;  // where a stream that is longer than it claims would go on
    int status = Z_OK;
    bool longer = false;
    while (status == Z_OK && !longer) {
      const std::size_t in_part = std::min(in.size(), kPart);
      const std::size_t room = std::min(out.size() - done, kPart);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      stream.avail_in = static_cast<uInt>(in_part);
      stream.next_out = reinterpret_cast<Bytef*>(room > 0 ? out.data() + done : &beyond);
      stream.avail_out = static_cast<uInt>(room > 0 ? room : 1);
      status = inflate(&stream, Z_NO_FLUSH);  // Z_BUF_ERROR where it can go no further
      in.remove_prefix(in_part - stream.avail_in);
      longer = room == 0 && stream.avail_out == 0;
      if (room > 0) done += room - stream.avail_out;
    }
    inflateEnd(&stream);
    return status == Z_STREAM_END && !longer && done == out.size();
  }

  std::string bytes_, name_;
  std::uint64_t taken_ = 0;  // memory of what was unpacked
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
