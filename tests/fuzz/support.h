// What the targets share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "heatproof/error.h"

namespace heatproof::fuzz {

/// Runs f; a refusal is as good as a result. Everything else that is thrown goes on.
template <typename F>
void may_refuse(F&& f) {
  try {
    f();
  } catch (const Error&) {
  }
}

/// A finding.
[[noreturn]] void fail(const std::string& what);
/// A file of this process with these bytes, in a folder of its own that goes with it.
std::filesystem::path file_of(std::string_view bytes, const std::string& name);
/// A name for a file that is not there.
std::filesystem::path no_file(const std::string& name);

/// Choices from bytes: what is behind their end is 0.
class Draw {
 public:
  explicit Draw(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return at_ >= bytes_.size(); }
  std::uint8_t byte() { return at_ < bytes_.size() ? static_cast<std::uint8_t>(bytes_[at_++]) : 0; }
  /// 0 … n−1, n at most 256.
  std::int64_t below(std::int64_t n) { return n <= 1 ? 0 : byte() % n; }
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  /// True once in n.
  bool once_in(std::int64_t n) { return below(n) == n - 1; }
  std::string_view rest() const { return bytes_.substr(at_ < bytes_.size() ? at_ : bytes_.size()); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace heatproof::fuzz
