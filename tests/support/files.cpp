#include "support/files.h"

#include <stdlib.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "onnx/model.h"

namespace heatproof::testing {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "heatproof-test-XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(HEATPROOF_SOURCE_DIR) / "tests/goldens" / name;
}
std::filesystem::path shapes(const std::string& name) {
  return std::filesystem::path(HEATPROOF_SOURCE_DIR) / "assets/shapes" / name;
}
std::filesystem::path shared_data(const std::string& name) {
  // Beside the checkout, or beside the folder that holds the checkout.
  for (const char* up : {"..", "../.."}) {
    const auto path = std::filesystem::path(HEATPROOF_SOURCE_DIR) / up / "shared/data" / name;
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

Network network_of(const std::filesystem::path& path) {
  return Network([model = Model::load(path)](std::int64_t batch) {
    Specialization s;
    s.batch = batch;
    return model.specialize(s);
  });
}

double deviation(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != DType::f32 || b.dtype() != DType::f32 || a.elements() == 0)
    return INFINITY;
  double gap = 0;
  double most = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    const double left = a.data<float>()[i];
    const double right = b.data<float>()[i];
    // Not left to the maximum: max(gap, NaN) is gap.
    if (!std::isfinite(left) || !std::isfinite(right)) return INFINITY;
    gap = std::max(gap, std::fabs(left - right));
    most = std::max(most, std::fabs(right));
  }
  if (gap == 0) return 0;
  return most > 0 ? gap / most : INFINITY;
}

Outcome heatproof(const std::string& arguments) {
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const std::string err = folder / "err";
  const int status =
      std::system((std::string(HEATPROOF_PROGRAM) + " " + arguments + " >" + out + " 2>" + err).c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out), read_file(err)};
}

}  // namespace heatproof::testing
