#include "base/draft.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>

#include "heatproof/error.h"

namespace heatproof {

namespace {

// Names that are short however long the target's is, and that nobody else gives.
constexpr std::string_view kPrefix = ".heatproof-";
constexpr std::string_view kSuffix = ".tmp";

void create(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(fmt::format("{}: cannot create the folder ({}); choose another with --out", folder.string(),
                            error.message()));
}

/// Removes a draft that nobody holds: who writes one locks it until it is renamed or gone, which ends with
/// the process however that ends, on other machines and in other containers, too, where process numbers say
/// nothing.
void remove_if_abandoned(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return;
  struct stat status {};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
      ::flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    ::unlink(path.c_str());
  ::close(descriptor);
}

/// Whether `name` is that of a draft of an earlier version, FILE.PROCESS.tmp, whose process is gone.
bool is_of_earlier_version(const std::filesystem::path& name) {
  if (name.extension() != kSuffix) return false;
  const std::string process = name.stem().extension().string();
  if (process.size() < 2 || process.size() > 9 ||
      process.find_first_not_of("0123456789", 1) != std::string::npos)
    return false;
  const std::string kind = name.stem().stem().extension().string();
  const bool written = kind == ".html" || kind == ".toml" || kind == ".png" || kind == ".npy";
  return written && ::kill(std::stoi(process.substr(1)), 0) != 0 && errno == ESRCH;
}

/// Once per folder and process: a folder of a hundred thousand pictures is not searched for each.
void remove_abandoned(const std::filesystem::path& folder) {
  static std::mutex mutex;
  static std::set<std::filesystem::path> searched;
  {
    const std::lock_guard lock(mutex);
    if (!searched.insert(folder).second) return;
  }
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if ((name.starts_with(kPrefix) && name.ends_with(kSuffix)) || is_of_earlier_version(name))
      remove_if_abandoned(entries->path());
  }
}

}  // namespace

void fail_writing(const std::filesystem::path& target, const char* what) {
  throw Error(fmt::format("{}: {} ({}); free space or choose another place with --out or --output",
                          target.string(), what, std::strerror(errno)));
}

void Draft::fail(const char* what) const { fail_writing(target_, what); }

std::filesystem::path Draft::unused_name() {
  static std::atomic<unsigned> count = 0;
  return target_.parent_path() / fmt::format("{}{}-{}{}", kPrefix, ::getpid(), count++, kSuffix);
}

/// False where the name is taken, or was taken for abandoned before it was locked.
bool Draft::open_named() {
  path_ = unused_name();
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0644);
  if (descriptor_ < 0 && errno != EEXIST) {
    path_.clear();
    fail("cannot create it");
  }
  if (descriptor_ < 0) return false;
  struct stat status {};
  // Where files cannot be locked, nobody takes this one for abandoned.
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
  if (::fstat(descriptor_, &status) == 0 && status.st_nlink > 0) return true;
  ::close(std::exchange(descriptor_, -1));
  return false;
}

Draft::Draft(std::filesystem::path target, bool named) : target_(std::move(target)) {
  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  create(folder);
  remove_abandoned(folder);
  // What has no name is given one through /proc.
  if (!named && ::access("/proc/self/fd", X_OK) == 0)
    descriptor_ = ::open(folder.c_str(), O_RDWR | O_CLOEXEC | O_TMPFILE, 0644);
  if (descriptor_ >= 0) return;
  while (!open_named()) {
  }
}

Draft::~Draft() {
  if (descriptor_ < 0) return;
  if (!path_.empty()) ::unlink(path_.c_str());
  ::close(descriptor_);
}

void Draft::commit() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != ENOTSUP) fail("cannot flush it to disk");
  if (path_.empty()) {
    // A name is made once more where it is taken; between this and the renaming the file is locked like any
    // draft.
    ::flock(descriptor_, LOCK_EX);
    const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
    for (;;) {
      const std::filesystem::path name = unused_name();
      if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0) {
        path_ = name;
        break;
      }
      if (errno != EEXIST) fail("cannot name the finished file");
    }
  }
  if (::rename(path_.c_str(), target_.c_str()) != 0) fail("cannot rename the finished file");
  ::close(std::exchange(descriptor_, -1));
}

}  // namespace heatproof
