#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include "base/draft.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// Devices and pipes are written to as they are; a rename would put a file in their place.
bool is_stream(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error);
}

[[noreturn]] void fail_reading(const std::filesystem::path& path) {
  throw InputError(
      fmt::format("{}: cannot be read ({}); check its permissions", path.string(), std::strerror(errno)));
}

/// More than any model or array that somebody pipes; a pipe may never end.
constexpr std::size_t kMostPiped = std::size_t{4} << 30;
constexpr int kPipeSeconds = 10;

[[noreturn]] void fail_size(const std::filesystem::path& path, std::size_t most) {
  throw InputError(
      fmt::format("{}: has more than {} bytes, too many for what it should be", path.string(), most));
}

/// A file or a pipe that is open for reading; opening never waits for a pipe's other end.
class Opened {
 public:
  explicit Opened(const std::filesystem::path& path) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor_ < 0 && (errno == ENOENT || errno == ENOTDIR))
      throw InputError(fmt::format("{}: no such file; check the path", path.string()));
    struct stat about {};
    if (descriptor_ < 0 || ::fstat(descriptor_, &about) != 0) fail_reading(path);
    size = static_cast<std::size_t>(about.st_size);
    pipe = S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode);
    const char* kind = S_ISDIR(about.st_mode)             ? "folder"
                       : !pipe && !S_ISREG(about.st_mode) ? "device"
                                                          : nullptr;
    if (kind == nullptr) return;
    ::close(descriptor_);
    throw InputError(fmt::format("{}: is a {}, expected a file", path.string(), kind));
  }
  ~Opened() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  int release() { return std::exchange(descriptor_, -1); }

  /// The next bytes; 0 at the end.
  std::size_t read(char* to, std::size_t count) {
    while (true) {
      pollfd ready{descriptor_, POLLIN, 0};
      if (pipe && ::poll(&ready, 1, kPipeSeconds * 1000) == 0)
        throw InputError(fmt::format("{}: nothing came from this pipe for {} seconds; give a file",
                                     path_.string(), kPipeSeconds));
      const ssize_t n = ::read(descriptor_, to, count);
      if (n >= 0) return static_cast<std::size_t>(n);
      if (errno != EINTR && !(pipe && errno == EAGAIN)) fail_reading(path_);
    }
  }

  std::size_t size = 0;
  bool pipe = false;

 private:
  const std::filesystem::path& path_;
  int descriptor_ = -1;
};

}  // namespace

class FileWriter::File {
 public:
  explicit File(std::filesystem::path target) : target_(std::move(target)) {
    if (!is_stream(target_)) {
      draft_.emplace(target_);
      descriptor_ = draft_->descriptor();
      return;
    }
    descriptor_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail_writing(target_, "cannot create it");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (direct() && descriptor_ >= 0) ::close(descriptor_);
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail_writing(target_, "cannot write it");
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  bool direct() const { return !draft_; }

  void rewrite(std::string_view bytes) {
    if (::lseek(descriptor_, 0, SEEK_SET) < 0) fail_writing(target_, "cannot write it");
    write(bytes);
    if (::lseek(descriptor_, 0, SEEK_END) < 0) fail_writing(target_, "cannot write it");
  }

  void commit() {
    if (draft_) return draft_->commit();
    if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS)
      fail_writing(target_, "cannot flush it to disk");
    ::close(std::exchange(descriptor_, -1));
  }

 private:
  std::filesystem::path target_;
  std::optional<Draft> draft_;  // else the file is a device or a pipe
  int descriptor_ = -1;
};

FileWriter::FileWriter(const std::filesystem::path& path) : file_(std::make_unique<File>(path)) {}
FileWriter::~FileWriter() = default;
bool FileWriter::can_rewrite() const { return !file_->direct(); }
void FileWriter::write(std::string_view bytes) { file_->write(bytes); }
void FileWriter::rewrite(std::string_view bytes) { file_->rewrite(bytes); }
void FileWriter::commit() { file_->commit(); }

FileReader::FileReader(const std::filesystem::path& path) : path_(path) {
  Opened file(path_);
  if (file.pipe)
    throw InputError(fmt::format("{}: is a pipe, which cannot be read in parts; give a file", path.string()));
  size_ = file.size;
  descriptor_ = file.release();
}
FileReader::FileReader(FileReader&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}
FileReader::~FileReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string FileReader::read(std::size_t offset, std::size_t count) const {
  std::string bytes(offset < size_ ? std::min(count, size_ - offset) : 0, '\0');
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pread(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_reading(path_);
    if (n == 0) bytes.resize(done);  // the file became shorter
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

std::string read_file(const std::filesystem::path& path, std::size_t most) {
  Opened in(path);
  if (in.size > most) fail_size(path, most);
  if (in.pipe) most = std::min(most, kMostPiped);
  constexpr std::size_t kPart = std::size_t{1} << 20;
  std::string bytes;
  bytes.reserve(in.size + kPart);  // pipes and the like have no size; the end is where reading ends
  while (true) {
    const std::size_t before = bytes.size();
    bytes.resize(before + kPart);
    const std::size_t n = in.read(bytes.data() + before, kPart);
    bytes.resize(before + n);
    if (n == 0) return bytes;
    if (bytes.size() > most) fail_size(path, most);
  }
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  FileWriter file(path);
  file.write(bytes);
  file.commit();
}

struct Sha256::Context {
  EVP_MD_CTX* handle = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(handle); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->handle == nullptr || EVP_DigestInit_ex(context_->handle, EVP_sha256(), nullptr) != 1)
    throw Error("SHA-256 failed");
}

Sha256::~Sha256() = default;

void Sha256::add(std::string_view bytes) {
  if (EVP_DigestUpdate(context_->handle, bytes.data(), bytes.size()) != 1) throw Error("SHA-256 failed");
}

std::string Sha256::digits() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context_->handle, digest, &size) != 1) throw Error("SHA-256 failed");
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string sha256(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.digits();
}

}  // namespace heatproof
