#include "data/npy_header.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// NumPy itself has at most 64 axes; a product of lengths below 2^40 cannot overflow with sizes of elements.
constexpr std::size_t kMostAxes = 64;
constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw InputError(fmt::format("{}: {}", name, what));
}

/// Reads a dictionary of NumPy's, whose keys may stand in any order: one pass, nothing nested.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  void read(NpyHeader& h) {
    expect('{');
    while (!skip('}')) {
      const std::string_view key = word();
      expect(':');
      if (key == "descr" && !(seen_ & 1))
        seen_ |= 1, read_type(h);
      else if (key == "fortran_order" && !(seen_ & 2))
        seen_ |= 2, h.fortran = truth();
      else if (key == "shape" && !(seen_ & 4))
        seen_ |= 4, read_shape(h.shape);
      else
        damaged();
      if (!skip(',')) {
        expect('}');
        break;
      }
    }
    if (seen_ != 7 || peek() != '\0') damaged();
  }

 private:
  [[noreturn]] void damaged() const { fail(name_, "its header is damaged; save it again with numpy.save"); }

  /// The next character that is no space; '\0' at the end.
  char peek() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos)
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool skip(char c) {
    if (c != peek()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!skip(c)) damaged();
  }

  /// Text in single or double quotes; no name or type of NumPy's has an escaped character.
  std::string_view word() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') damaged();
    const std::size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) damaged();
    const std::string_view found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }

  bool truth() {
    peek();
    for (const std::string_view value : {"True", "False"}) {
      if (text_.substr(at_).starts_with(value)) {
        at_ += value.size();
        return value == "True";
      }
    }
    damaged();
  }

  void read_type(NpyHeader& h) {
    if (peek() == '[' || peek() == '(')
      fail(name_, "its elements are records of several fields; save one field as a plain array");
    const std::string_view type = word();
    const auto refuse = [&] {
      fail(name_, fmt::format("element type '{}' is not supported; use float32, int64 or bool",
                              abbreviated(type, 40)));
    };
    if (type.empty()) refuse();
    const bool order = std::string_view("<>=|").find(type[0]) != std::string_view::npos;
    const std::string_view rest = type.substr(order ? 1 : 0);
    if (rest == "?") {  // another way to write b1
      h.kind = 'b', h.bytes = 1;
      return;
    }
    if (rest.size() != 2 || rest[1] < '1' || rest[1] > '8') refuse();
    h.swapped = type[0] == '>';
    h.kind = rest[0];
    h.bytes = rest[1] - '0';
    const bool power = h.bytes == 1 || h.bytes == 2 || h.bytes == 4 || h.bytes == 8;
    const bool known =
        (h.kind == 'f' && h.bytes > 1) || h.kind == 'i' || h.kind == 'u' || (h.kind == 'b' && h.bytes == 1);
    if (!power || !known) refuse();
  }

  void read_shape(Shape& shape) {
    expect('(');
    std::int64_t elements = 1;
    bool empty = false;
    while (!skip(')')) {
      const std::int64_t length = whole_number();
      if (shape.size() == kMostAxes) fail(name_, fmt::format("its shape has more than {} axes", kMostAxes));
      shape.push_back(length);
      if (length == 0) empty = true;
      const std::int64_t factor = std::max<std::int64_t>(length, 1);
      if (elements > kMostElements / factor) fail(name_, "its shape is too large");
      elements *= factor;
      if (!skip(',')) {
        expect(')');
        break;
      }
    }
    if (empty)
      fail(name_, fmt::format("holds no elements (shape {}); save some", abbreviated(to_string(shape), 80)));
  }

  std::int64_t whole_number() {
    if (peek() == '-') fail(name_, "its shape has a negative length");
    std::int64_t value = 0;
    const std::size_t first = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      value = value * 10 + (text_[at_] - '0');
      if (value > kMostElements) fail(name_, "its shape is too large");
    }
    if (at_ == first) damaged();
    if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2 wrote long numbers so
    return value;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0;
  int seen_ = 0;
};

/// The dictionary's text; `data` becomes where it ends.
std::string_view dictionary(std::string_view bytes, const std::string& name, std::size_t& data) {
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY")
    fail(name, bytes.empty() ? "is empty" : "not a .npy file; save it with numpy.save");
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const std::size_t version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0)
    fail(name, fmt::format("version {}.{} of the format is not known; save it again with numpy.save", version,
                           byte(7)));
  const std::size_t prefix = version == 1 ? 10 : 12;
  const std::size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (prefix + length > kMostNpyHeader)
    fail(name, fmt::format("its header has {} bytes, and plain arrays need at most 65536", length));
  if (length > bytes.size() - prefix) fail(name, "its header is damaged or truncated");
  data = prefix + length;
  return bytes.substr(prefix, length);
}

}  // namespace

NpyHeader parse_npy_header(std::string_view bytes, std::size_t size, const std::string& name) {
  NpyHeader h;
  const std::string_view text = dictionary(bytes, name, h.data);
  Scanner(text, name).read(h);
  const auto needed = static_cast<std::size_t>(h.shape.elements()) * static_cast<std::size_t>(h.bytes);
  const std::size_t given = size - h.data;
  const auto shape = abbreviated(to_string(h.shape), 80);
  if (given < needed)
    fail(name,
         fmt::format("holds {} bytes of data, its shape {} needs {}; it is truncated", given, shape, needed));
  if (given > needed)
    fail(name, fmt::format("holds {} bytes after the {} of its shape {}; it is damaged, or several arrays "
                           "were saved into one file",
                           given - needed, needed, shape));
  return h;
}

}  // namespace heatproof
