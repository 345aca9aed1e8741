#include "onnx/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

// A pipe or a device does not make `open` wait; regular files know nothing of O_NONBLOCK.
constexpr int kReading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// Walks from the folder to a file, name by name, and resolves links itself: what is opened is what was
/// looked at, and what lies outside is never touched.
class Walk {
 public:
  Walk(const std::filesystem::path& folder, const std::string& location) : location_(location) {
    const std::string root = folder.empty() ? "." : folder.string();
    folders_.emplace_back(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (folders_.back().get() < 0) fail_missing();
    push(location);
  }

  int open() {
    while (!rest_.empty()) {
      const std::string part = std::move(rest_.back());
      rest_.pop_back();
      if (part.empty() || part == ".") continue;
      if (part == "..") {
        if (folders_.size() == 1) fail_leaving();
        folders_.pop_back();
        continue;
      }
      const int here = folders_.back().get();
      struct stat status {};
      if (::fstatat(here, part.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) fail_missing();
      if (S_ISLNK(status.st_mode)) {
        follow(part);
      } else if (S_ISDIR(status.st_mode)) {
        folders_.emplace_back(::openat(here, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (folders_.back().get() < 0) fail_missing();
      } else {
        if (!S_ISREG(status.st_mode) || !rest_.empty()) fail_missing();
        const int fd = ::openat(here, part.c_str(), kReading | O_NOFOLLOW);
        if (fd < 0)
          throw InputError(fmt::format("external data file '{}' cannot be read ({}); check its permissions",
                                       abbreviated(location_), std::strerror(errno)));
        return fd;
      }
    }
    fail_missing();
  }

 private:
  static constexpr int kMostLinks = 40;  // as Linux follows

  void push(std::string_view path) {
    if (path.starts_with('/')) fail_leaving();
    if (path.size() > PATH_MAX || path.find('\0') != std::string_view::npos) fail_missing();
    std::vector<std::string> parts;
    while (!path.empty()) {
      const std::size_t end = std::min(path.find('/'), path.size());
      parts.emplace_back(path.substr(0, end));
      path.remove_prefix(std::min(end + 1, path.size()));
    }
    rest_.insert(rest_.end(), parts.rbegin(), parts.rend());
  }

  void follow(const std::string& link) {
    std::array<char, PATH_MAX> target{};
    const ssize_t n = ::readlinkat(folders_.back().get(), link.c_str(), target.data(), target.size());
    if (n <= 0 || ++links_ > kMostLinks) fail_missing();
    push({target.data(), static_cast<std::size_t>(n)});
  }

  [[noreturn]] void fail_leaving() const {
    throw InputError(
        fmt::format("external data '{}' leaves the model's folder, which is refused; put the file beside the "
                    "model",
                    abbreviated(location_)));
  }
  [[noreturn]] void fail_missing() const {
    throw InputError(
        fmt::format("external data file '{}' is missing, or no regular file; put it beside the model",
                    abbreviated(location_)));
  }

  std::string location_;
  std::vector<Descriptor> folders_;  // from the model's to where the walk is
  std::vector<std::string> rest_;    // names that are left, the next one last
  int links_ = 0;
};

}  // namespace

ModelFile::ModelFile(const std::filesystem::path& path)
    : ModelFile(::open(path.c_str(), kReading), path.string()) {}

ModelFile ModelFile::beneath(const std::filesystem::path& folder, const std::string& location) {
  if (location.empty()) throw InputError("external data says of no file; export the model again");
  return ModelFile(Walk(folder, location).open(), location);
}

ModelFile::ModelFile(int descriptor, std::string name)
    : descriptor_(descriptor), name_(abbreviated(name, 200)) {
  if (descriptor_ < 0 && (errno == ENOENT || errno == ENOTDIR))
    throw InputError(fmt::format("{}: no such file; check the path", name_));
  if (descriptor_ < 0)
    throw InputError(
        fmt::format("{}: cannot be read ({}); check its permissions", name_, std::strerror(errno)));
  Descriptor owner(descriptor_);  // what throws below closes it
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0)
    throw InputError(fmt::format("{}: cannot be read ({})", name_, std::strerror(errno)));
  if (S_ISDIR(status.st_mode)) throw InputError(fmt::format("{}: is a folder, expected a file", name_));
  if (!S_ISREG(status.st_mode))
    throw InputError(fmt::format(
        "{}: is a pipe or a device, and models are read from files; write it to a file first", name_));
  size_ = static_cast<std::size_t>(status.st_size);
  identity_ = {status.st_dev, status.st_ino};
  owner.release();
}

ModelFile::~ModelFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

ModelFile::ModelFile(ModelFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      name_(std::move(other.name_)),
      size_(other.size_),
      identity_(other.identity_) {}

std::size_t ModelFile::read(std::size_t offset, char* into, std::size_t count) const {
  std::size_t done = 0;
  while (done < count) {
    const ssize_t n = ::pread(descriptor_, into + done, count - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw InputError(fmt::format("{}: cannot be read ({}); check the disk", name_, std::strerror(errno)));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

}  // namespace heatproof
