// Kinks, poles and masks of −∞: gradients of torch, and differences that DeepLIFT has to sum to
// (tests/goldens/make_kink_goldens.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"
#include "support/networks.h"

namespace heatproof {

using namespace testing;

namespace {

class Kinks : public ::testing::Test {
 protected:
  /// visit(name, network, inputs, what the golden knows of it).
  template <typename F>
  void each(F visit) const {
    const auto arrays = read_npz(golden("kinks.npz"));
    std::set<std::string> names;
    for (const auto& [key, tensor] : arrays) names.insert(key.substr(0, key.find('/')));
    ASSERT_GE(names.size(), 25U);
    for (const std::string& name : names) {
      SCOPED_TRACE(name);
      std::string bytes;
      for (const std::int64_t byte : arrays.at(name + "/model").data<std::int64_t>())
        bytes += static_cast<char>(byte);
      const auto file = folder_ / (name + ".onnx");
      write_file(file, bytes);
      std::map<std::string, Tensor> known;
      for (const auto& [key, tensor] : arrays)
        if (key.starts_with(name + "/")) known[key.substr(name.size() + 1)] = tensor;
      visit(network_of(file), arrays.at(name + "/input"), known);
    }
  }

 private:
  TemporaryFolder folder_;
};

Tensor sums(const Tensor& relevance) {
  Tensor result = Tensor::empty(DType::f32, {relevance.shape()[0]});
  for (std::int64_t n = 0; n < relevance.shape()[0]; ++n)
    result.data<float>()[static_cast<std::size_t>(n)] = static_cast<float>(sum_of_row(relevance, n));
  return result;
}

}  // namespace

TEST_F(Kinks, GradientsAreTorchs) {
  int gradients = 0;
  each([&](const Network& network, const Tensor& x, const auto& known) {
    if (!known.contains("gradient")) return;
    EXPECT_LT(deviation(explain_with(network, "gradient", x), known.at("gradient")), 1e-5);
    ++gradients;
  });
  EXPECT_GE(gradients, 24);
}

TEST_F(Kinks, DeepLiftIsComplete) {
  int differences = 0;
  each([&](const Network& network, const Tensor& x, const auto& known) {
    for (const auto& [key, expected] : known) {
      if (!key.starts_with("difference ")) continue;
      const std::string recipe = "deeplift:baseline=" + key.substr(11);
      EXPECT_LT(deviation(sums(explain_with(network, recipe, x)), expected), 2e-5) << recipe;
      ++differences;
    }
  });
  EXPECT_GE(differences, 50);
}

TEST_F(Kinks, NoMethodIsInfinite) {
  each([&](const Network& network, const Tensor& x, const auto&) {
    for (const char* recipe :
         {"integrated_gradients:steps=4,rule=trapezoid", "lrp_epsilon_plus", "lrp_0", "lrp_gamma",
          "lrp_alpha_beta", "deep_taylor:gamma=0.25,input=same", "guided_backprop", "gradient_x_input"}) {
      const Tensor r = explain_with(network, recipe, x);
      for (const float v : r.data<float>()) ASSERT_TRUE(std::isfinite(v)) << recipe;
    }
  });
}

}  // namespace heatproof
