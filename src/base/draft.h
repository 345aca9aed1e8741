// A file on its way: it replaces its target when it is whole, and vanishes when it is not.
#pragma once

#include <filesystem>
#include <string>

namespace heatproof {

class Draft {
 public:
  /// In the folder of `target`, which is made where it is missing. `named`: others can open it by its path();
  /// else it has a name only where the file system cannot do without, so that not even a killed run leaves
  /// anything. Removes what killed runs left in the folder. Throws Error (no permission, disk full).
  explicit Draft(std::filesystem::path target, bool named = false);
  ~Draft();
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }  // empty where it has none
  /// Flushes it to disk and puts it in the place of the target.
  void commit();

 private:
  std::filesystem::path unused_name();
  bool open_named();
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path target_, path_;
  int descriptor_ = -1;
};

/// Throws the Error of a file that cannot be written, from errno.
[[noreturn]] void fail_writing(const std::filesystem::path& target, const char* what);

}  // namespace heatproof
