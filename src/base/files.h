// Files that are whole or absent, and their fingerprints.
#pragma once

#include <filesystem>
#include <memory>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>

namespace heatproof {

/// The whole file, or what a pipe gives until it ends. Throws InputError when it cannot be read, has more
/// than `most` bytes, is a device, or a pipe from which nothing comes for some seconds.
std::string read_file(const std::filesystem::path& path, std::size_t most = SIZE_MAX);

/// Writes the whole file or nothing: to a temporary name beside it, flushed to disk, then renamed.
/// Throws Error (disk full, no permission); the old file, if any, is then still there.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// The same, part by part.
class FileWriter {
 public:
  explicit FileWriter(const std::filesystem::path& path);
  ~FileWriter();  // without commit: nothing is left
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// False for devices and pipes, which are written to as they are.
  bool can_rewrite() const;
  void write(std::string_view bytes);
  /// Replaces bytes that were written, from the start of the file.
  void rewrite(std::string_view bytes);
  void commit();

 private:
  class File;
  std::unique_ptr<File> file_;
};

/// A file that is read in parts. Throws InputError when it cannot be read.
class FileReader {
 public:
  explicit FileReader(const std::filesystem::path& path);
  ~FileReader();
  FileReader(FileReader&& other) noexcept;
  FileReader& operator=(FileReader&&) = delete;

  std::size_t size() const { return size_; }
  /// `count` bytes from `offset`, fewer at the end; safe to call from several threads.
  std::string read(std::size_t offset, std::size_t count) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::size_t size_ = 0;
};

/// The memory of a range of plain values.
template <typename Range>
std::string_view raw_bytes(const Range& values) {
  using T = std::ranges::range_value_t<Range>;
  static_assert(std::is_arithmetic_v<T>);
  return {reinterpret_cast<const char*>(std::ranges::data(values)), std::ranges::size(values) * sizeof(T)};
}

/// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

/// The same, part by part.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::string_view bytes);
  /// Plain values after their number, so that what follows cannot be taken for more of them.
  template <typename Range>
  void add_values(const Range& values) {
    const std::uint64_t count = std::ranges::size(values);
    add({reinterpret_cast<const char*>(&count), sizeof(count)});
    add(raw_bytes(values));
  }
  std::string digits();  // once

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace heatproof
