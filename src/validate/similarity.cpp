#include "validate/similarity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "heatproof/error.h"
#include "validate/features.h"

namespace heatproof {

double ssim(std::span<const double> a, std::span<const double> b) {
  constexpr std::size_t kWindow = 7;
  constexpr double kUnbiased = static_cast<double>(kWindow) / (kWindow - 1);
  if (a.size() < kWindow) return std::numeric_limits<double>::quiet_NaN();
  const auto [low_a, high_a] = std::ranges::minmax(a);
  const auto [low_b, high_b] = std::ranges::minmax(b);
  const double range = std::max(high_a, high_b) - std::min(low_a, low_b);
  const double c1 = std::pow(0.01 * range, 2);
  const double c2 = std::pow(0.03 * range, 2);
  double total = 0;
  for (std::size_t begin = 0; begin + kWindow <= a.size(); ++begin) {
    double ma = 0;
    double mb = 0;
    double aa = 0;
    double bb = 0;
    double ab = 0;
    for (std::size_t k = begin; k < begin + kWindow; ++k) {
      ma += a[k] / kWindow, mb += b[k] / kWindow;
      aa += a[k] * a[k] / kWindow, bb += b[k] * b[k] / kWindow, ab += a[k] * b[k] / kWindow;
    }
    const double va = kUnbiased * (aa - ma * ma);
    const double vb = kUnbiased * (bb - mb * mb);
    const double vab = kUnbiased * (ab - ma * mb);
    total += (2 * ma * mb + c1) * (2 * vab + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
  }
  return total / static_cast<double>(a.size() - kWindow + 1);
}

double cosine(std::span<const double> a, std::span<const double> b) {
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (std::size_t k = 0; k < a.size(); ++k) ab += a[k] * b[k], aa += a[k] * a[k], bb += b[k] * b[k];
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : aa == bb ? 1 : 0;
}

const std::vector<std::string>& similarity_names() {
  static const std::vector<std::string> names{"ssim", "spearman", "pearson", "cosine"};
  return names;
}

double similarity(const std::string& name, std::span<const double> a, std::span<const double> b) {
  if (name == "ssim") return ssim(a, b);
  if (name == "spearman") return spearman(a, b);
  if (name == "pearson") return pearson(a, b);
  if (name == "cosine") return cosine(a, b);
  throw UsageError(fmt::format("unknown similarity '{}'", name));
}

}  // namespace heatproof
