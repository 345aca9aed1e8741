// Sizes of pictures from the first bytes of their files, before a decoder takes memory for them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "data/image_formats.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// Numbers at places of a file. Throws where it ends before them.
class Bytes {
 public:
  Bytes(std::string_view bytes, bool little) : bytes_(bytes), little_(little) {}

  std::uint64_t number(std::uint64_t at, int size) const {
    if (at > bytes_.size() || bytes_.size() - at < static_cast<std::size_t>(size))
      throw InputError("the picture ends within its header; it was cut off");
    std::uint64_t value = 0;
    for (int i = 0; i < size; ++i) {
      const int k = little_ ? size - 1 - i : i;
      value = value << 8 | static_cast<unsigned char>(bytes_[at + static_cast<std::size_t>(k)]);
    }
    return value;
  }
  std::int64_t length(std::uint64_t at, int size) const {
    return static_cast<std::int64_t>(number(at, size));
  }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool little_;
};

/// Throws where a file of pixels as they are has fewer bytes than they need.
void check_whole(std::string_view bytes, double needed) {
  if (static_cast<double>(bytes.size()) < needed)
    throw InputError(
        fmt::format("the picture has {} bytes and needs {:.0f}; it was cut off", bytes.size(), needed));
}

ImageHeader bmp(std::string_view file) {
  const Bytes b(file, true);
  const bool old = b.number(14, 4) == 12;
  ImageHeader h;
  h.width = b.length(18, old ? 2 : 4);
  const auto height = static_cast<std::int32_t>(b.number(old ? 20 : 22, old ? 2 : 4));
  h.height = height < 0 ? -std::int64_t{height} : height;  // negative: from the top
  check_pixels(h.width, h.height);
  const std::uint64_t bits = b.number(old ? 24 : 28, 2);
  const std::uint64_t compression = old ? 0 : b.number(30, 4);
  if (compression == 0 || compression == 3) {
    const std::int64_t row = (h.width * static_cast<std::int64_t>(bits) + 31) / 32 * 4;
    check_whole(file, static_cast<double>(b.number(10, 4)) +
                          static_cast<double>(row) * static_cast<double>(h.height));
  }
  return h;
}

ImageHeader webp(std::string_view file) {
  const Bytes b(file, true);
  const std::string_view kind = file.substr(12, 4);
  if (file.size() < b.number(4, 4) + 8)
    throw InputError("the WebP has fewer bytes than it says; it was cut off");
  ImageHeader h;
  if (kind == "VP8X") {
    h.width = 1 + b.length(24, 3), h.height = 1 + b.length(27, 3);
    if ((b.number(20, 1) & 2) != 0)
      throw InputError("the WebP is an animation; save one of its pictures as PNG");
  } else if (kind == "VP8L") {
    const std::int64_t sizes = b.length(21, 4);
    h.width = 1 + (sizes & 0x3fff), h.height = 1 + (sizes >> 14 & 0x3fff);
  } else {
    h.width = b.length(26, 2) & 0x3fff, h.height = b.length(28, 2) & 0x3fff;
  }
  h.working_bytes = 4.0 * static_cast<double>(h.width) * static_cast<double>(h.height);  // lossless ones
  return h;
}

/// Entries of one directory of a TIFF.
class Directory {
 public:
  Directory(const Bytes& b, std::uint64_t at, bool big) : b_(b), at_(at), big_(big) {
    count_ = b.number(at, big ? 8 : 2);
    if (count_ > 65535) throw InputError("the TIFF is damaged: its directory is impossibly long");
  }

  /// The first value of a tag.
  std::int64_t value(std::uint64_t tag, std::int64_t otherwise) const {
    for (std::uint64_t i = 0; i < count_; ++i) {
      const std::uint64_t entry = entry_at(i);
      if (b_.number(entry, 2) != tag) continue;
      const std::uint64_t type = b_.number(entry + 2, 2);
      const int size = type == 3 ? 2 : type == 4 ? 4 : type == 16 && big_ ? 8 : 0;
      if (size == 0) throw InputError(fmt::format("the TIFF is damaged: tag {} has type {}", tag, type));
      const std::uint64_t many = b_.number(entry + 4, big_ ? 8 : 4);
      const std::uint64_t field = entry + (big_ ? 12 : 8);
      const bool inside = many <= (big_ ? 8U : 4U) / static_cast<unsigned>(size);
      return b_.length(inside ? field : b_.number(field, big_ ? 8 : 4), size);
    }
    return otherwise;
  }
  /// Where the next directory is; 0: there is none.
  std::uint64_t next() const { return b_.number(entry_at(count_), big_ ? 8 : 4); }

 private:
  std::uint64_t entry_at(std::uint64_t i) const { return at_ + (big_ ? 8 : 2) + i * (big_ ? 20 : 12); }

  const Bytes& b_;
  std::uint64_t at_, count_ = 0;
  bool big_;
};

ImageHeader tiff(std::string_view file) {
  const Bytes b(file, file[0] == 'I');
  const bool big = b.number(2, 2) == 43;
  const Directory d(b, b.number(big ? 8 : 4, big ? 8 : 4), big);
  ImageHeader h;
  h.width = d.value(256, 0), h.height = d.value(257, 0);
  check_pixels(h.width, h.height);
  // One tile or strip is unpacked at a time, with all its channels.
  const std::int64_t wide = std::clamp<std::int64_t>(d.value(322, h.width), 1, 1 << 24);
  const std::int64_t high =
      std::clamp<std::int64_t>(d.value(323, std::min(d.value(278, h.height), h.height)), 1, 1 << 24);
  h.working_bytes = static_cast<double>(wide) * static_cast<double>(high) *
                    static_cast<double>(d.value(258, 1)) / 8 *
                    static_cast<double>(std::max<std::int64_t>(d.value(277, 1), 4));
  if (const std::uint64_t at = d.next(); at != 0) {
    const Directory second(b, at, big);
    if ((second.value(254, 0) & 5) == 0) h.oddity = "the TIFF has several pages; the first is used";
  }
  return h;
}

/// Words of a text header, with # for comments.
class Words {
 public:
  explicit Words(std::string_view text, std::size_t at) : text_(text.substr(0, 4096)), at_(at) {}

  std::string_view next() {
    while (at_ < text_.size() &&
           (std::isspace(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '#')) {
      at_ = text_[at_] == '#' ? std::min(text_.find_first_of("\r\n", at_), text_.size()) : at_ + 1;
    }
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) == 0) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::int64_t length() {
    std::int64_t value = 0;
    for (const char c : next()) {
      if (c < '0' || c > '9' || value > kMostPixels) return 0;  // is refused
      value = value * 10 + (c - '0');
    }
    return value;
  }
  std::size_t at() const { return at_; }

 private:
  std::string_view text_;
  std::size_t at_;
};

/// PBM, PGM, PPM and PFM.
ImageHeader pnm(std::string_view file) {
  Words words(file, 2);
  ImageHeader h;
  h.width = words.length(), h.height = words.length();
  check_pixels(h.width, h.height);
  const char kind = file[1];
  const bool floats = kind == 'F' || kind == 'f';
  if (floats) h.working_bytes = 12.0 * static_cast<double>(h.width * h.height);
  const std::int64_t most = kind == '1' || kind == '4' || floats ? 1 : words.length();
  const double values =
      static_cast<double>(h.width * h.height) * (kind == '3' || kind == '6' || kind == 'F' ? 3 : 1);
  const double bytes = kind == '4'  ? static_cast<double>((h.width + 7) / 8 * h.height)
                       : kind < '4' ? values  // a digit each at least
                       : floats     ? 4 * values
                                    : values * (most > 255 ? 2 : 1);
  check_whole(file, static_cast<double>(words.at()) + bytes);
  return h;
}

ImageHeader pam(std::string_view file) {
  Words words(file, 2);
  ImageHeader h;
  std::int64_t depth = 0;
  std::int64_t most = 0;
  for (std::string_view word = words.next(); !word.empty() && word != "ENDHDR"; word = words.next()) {
    if (word == "WIDTH") h.width = words.length();
    if (word == "HEIGHT") h.height = words.length();
    if (word == "DEPTH") depth = words.length();
    if (word == "MAXVAL") most = words.length();
  }
  check_pixels(h.width, h.height);
  const double values = static_cast<double>(h.width * h.height) * static_cast<double>(depth);
  check_whole(file, static_cast<double>(words.at()) + values * (most > 255 ? 2 : 1));
  h.working_bytes = 8.0 * static_cast<double>(h.width * h.height);
  return h;
}

/// "-Y height +X width" after the lines of a Radiance header.
ImageHeader hdr(std::string_view file) {
  const std::size_t end = std::min(file.substr(0, 4096).find("\n\n"), file.size() - 1);
  Words words(file, end);
  ImageHeader h;
  const std::string_view first = words.next();
  const std::int64_t one = words.length();
  words.next();
  const std::int64_t two = words.length();
  const bool rows = first == "-Y" || first == "+Y";
  h.height = rows ? one : two, h.width = rows ? two : one;
  check_pixels(h.width, h.height);
  h.working_bytes = 12.0 * static_cast<double>(h.width * h.height);
  return h;
}

ImageHeader sun(std::string_view file) {
  const Bytes b(file, false);
  return {b.length(4, 4), b.length(8, 4), 0, {}};
}

/// The SIZ segment of the code stream.
ImageHeader jpeg2000(std::string_view file) {
  const Bytes b(file, false);
  std::uint64_t at = 0;
  while (b.number(at, 4) != 0xff4fff51) {  // over boxes, of which jp2c holds the code stream
    const std::uint64_t length = b.number(at, 4);
    const std::uint64_t header = length == 1 ? 16 : 8;
    if (b.number(at + 4, 4) == 0x6a703263) {
      at += header;
      if (b.number(at, 4) == 0xff4fff51) break;
    }
    const std::uint64_t whole = length == 1 ? b.number(at + 8, 8) : length;
    if (whole < header || whole > file.size())
      throw InputError("the JPEG 2000 file has no code stream; it is damaged");
    at += whole;
  }
  ImageHeader h;
  h.width = b.length(at + 8, 4) - b.length(at + 16, 4);
  h.height = b.length(at + 12, 4) - b.length(at + 20, 4);
  const auto components = static_cast<double>(b.number(at + 40, 2));
  if (components > 4) throw InputError("the JPEG 2000 file has more than four channels; convert it to PNG");
  check_pixels(h.width, h.height);
  h.working_bytes = 8 * components * static_cast<double>(h.width) * static_cast<double>(h.height);
  return h;
}

struct Format {
  std::string_view signature;
  ImageHeader (*read)(std::string_view file);
};

}  // namespace

ImageHeader read_image_header(std::string_view file) {
  static const std::array<Format, 19> formats{{{"BM", bmp},
                                               {{"II*\0", 4}, tiff},
                                               {{"MM\0*", 4}, tiff},
                                               {{"II+\0", 4}, tiff},
                                               {{"MM\0+", 4}, tiff},
                                               {"P1", pnm},
                                               {"P2", pnm},
                                               {"P3", pnm},
                                               {"P4", pnm},
                                               {"P5", pnm},
                                               {"P6", pnm},
                                               {"PF", pnm},
                                               {"Pf", pnm},
                                               {"P7", pam},
                                               {"#?R", hdr},
                                               {"\x59\xa6\x6a\x95", sun},
                                               {{"\0\0\0\x0cjP", 6}, jpeg2000},
                                               {"\xff\x4f\xff\x51", jpeg2000},
                                               {"RIFF", webp}}};
  for (const Format& format : formats) {
    if (!file.starts_with(format.signature)) continue;
    if (format.read == webp && (file.size() < 30 || file.substr(8, 6) != "WEBPVP")) continue;
    return format.read(file);
  }
  throw InputError("not an image that can be read; give a PNG, JPEG or .npy file");
}

}  // namespace heatproof
