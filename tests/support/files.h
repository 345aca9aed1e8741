// Files of tests: goldens, a folder that vanishes, data that only developers have.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "explain/network.h"
#include "heatproof/tensor.h"

namespace heatproof::testing {

/// A fresh folder, removed with everything in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// tests/goldens/NAME and assets/shapes/NAME.
std::filesystem::path golden(const std::string& name);
std::filesystem::path shapes(const std::string& name);
/// Real networks and photos beside the project; empty where they are missing.
std::filesystem::path shared_data(const std::string& name);

/// The network of an ONNX file.
Network network_of(const std::filesystem::path& path);
/// max |a − b| / max |b|; infinite where something is not finite, or shapes or types differ.
double deviation(const Tensor& a, const Tensor& b);

/// What the program printed and how it ended.
struct Outcome {
  int code;
  std::string out, err;
};
/// Runs the program with arguments as a shell would split them.
Outcome heatproof(const std::string& arguments);

}  // namespace heatproof::testing
