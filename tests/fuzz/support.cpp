#include "fuzz/support.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace heatproof::fuzz {

namespace {

/// In memory where that is possible: databases wait for disks.
std::filesystem::path place() {
  const std::filesystem::path memory = "/dev/shm";
  const bool told = std::getenv("TMPDIR") != nullptr;
  return told || ::access(memory.c_str(), W_OK) != 0 ? std::filesystem::temp_directory_path() : memory;
}

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = (place() / "heatproof-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for files of the fuzzer");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

void fail(const std::string& what) { throw std::logic_error(what); }

std::filesystem::path no_file(const std::string& name) {
  static const Folder folder;
  std::filesystem::path path = folder.path / name;
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
  return path;
}

std::filesystem::path file_of(std::string_view bytes, const std::string& name) {
  std::filesystem::path path = no_file(name);
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error("the fuzzer cannot write " + path.string());
  return path;
}

}  // namespace heatproof::fuzz
