// Files that models are read from: only what is a regular file, opened once, so that what was checked is what
// is read. Pipes and devices are never waited for.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace heatproof {

class ModelFile {
 public:
  /// Throws InputError where there is no such file, or it is none that has an end.
  explicit ModelFile(const std::filesystem::path& path);
  /// The file that a model of this folder calls `location`. Throws InputError where it leaves the folder, by
  /// its name or through a link, whatever lies there: nothing outside is looked at.
  static ModelFile beneath(const std::filesystem::path& folder, const std::string& location);
  ~ModelFile();
  ModelFile(ModelFile&& other) noexcept;
  ModelFile& operator=(ModelFile&&) = delete;

  std::size_t size() const { return size_; }
  /// Equal for two names of one file.
  std::pair<dev_t, ino_t> identity() const { return identity_; }
  /// Up to `count` bytes from `offset`; fewer at the end only. Throws InputError when the disk fails.
  std::size_t read(std::size_t offset, char* into, std::size_t count) const;

 private:
  ModelFile(int descriptor, std::string name);

  int descriptor_;
  std::string name_;
  std::size_t size_ = 0;
  std::pair<dev_t, ino_t> identity_;
};

}  // namespace heatproof
