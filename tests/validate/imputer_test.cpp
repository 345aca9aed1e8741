#include "validate/imputer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "explain/explainer.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

Network identity(const Shape& shape) {
  return Network([shape](std::int64_t batch) {
    Builder g;
    Shape s = shape;
    s[0] = batch;
    const Value x = g.input("x", {DType::f32, s});
    g.output("y", reshape(x, {batch, s.elements() / batch}));
    return g.build();
  });
}

class Imputer : public ::testing::Test {
 protected:
  /// One sample [1, 2, H, W] after its pixels `removed` were imputed.
  static Tensor impute(const std::string& name, const Tensor& x, std::vector<std::size_t> removed,
                       std::int64_t reach = 1) {
    const Network network = identity(x.shape());
    Evaluation e{.network = network, .inputs = x, .black = {-1, -2}, .white = {8, 9}};
    for (std::int64_t i = 0; i < x.shape()[0]; ++i) e.ids.push_back(static_cast<std::uint64_t>(i));
    Tensor result = x.rows(0, 1).clone();
    imputer(name, e, 0, reach)(result.data<float>(), removed);
    return result;
  }
};

}  // namespace

TEST_F(Imputer, ByHand) {
  const Tensor x = floats({1, 2, 1, 2}, {1, 3, 10, 20});
  expect_close(impute("mean", x, {0, 1}), floats({1, 2, 1, 2}, {2, 2, 15, 15}));
  expect_close(impute("mean", x, {1}), floats({1, 2, 1, 2}, {1, 2, 10, 15}));
  expect_close(impute("black", x, {0, 1}), floats({1, 2, 1, 2}, {-1, -1, -2, -2}));
  expect_close(impute("white", x, {1}), floats({1, 2, 1, 2}, {1, 8, 10, 9}));
}

TEST_F(Imputer, LeavesFlatImagesFlatAndOtherPixelsAlone) {
  const Tensor flat = Tensor::filled({1, 2, 9, 9}, 4);
  const Tensor noisy = random_tensor({1, 2, 9, 9}, 3);
  std::vector<std::size_t> removed{0, 1, 10, 11, 40, 80};
  for (const std::string& name : imputer_names()) {
    SCOPED_TRACE(name);
    if (name == "another") continue;
    const bool noise = name == "noisy_linear";
    if (name != "black" && name != "white")
      expect_close(impute(name, flat, removed), flat, 0, noise ? 0.06 : 1e-5);
    const Tensor result = impute(name, noisy, removed);
    for (std::size_t k = 0; k < 162; ++k) {
      if (std::ranges::find(removed, k % 81) == removed.end())
        ASSERT_EQ(result.data<float>()[k], noisy.data<float>()[k]);
      else
        ASSERT_TRUE(std::isfinite(result.data<float>()[k]));
    }
  }
}

TEST_F(Imputer, RemovesEverything) {
  const Tensor x = random_tensor({1, 2, 5, 5}, 3);
  std::vector<std::size_t> all(25);
  for (std::size_t k = 0; k < 25; ++k) all[k] = k;
  for (const char* name : {"noisy_linear", "inpaint"})
    expect_close(impute(name, x, all), impute("mean", x, all));
}

TEST_F(Imputer, LinearIsTheWeightedMeanOfTheNeighbours) {
  // One pixel in the middle: direct neighbours count 1/6, diagonal ones 1/12.
  const Tensor x = floats({1, 1, 3, 3}, {12, 0, 0, 0, 99, 6, 0, 0, 0});
  const Network network = identity(x.shape());
  const Evaluation e{.network = network, .inputs = x, .ids = {0}};
  Tensor result = x.clone();
  linear_imputer(e, 0, 0)(result.data<float>(), std::vector<std::size_t>{4});
  EXPECT_NEAR(result.data<float>()[4], 12.0 / 12 + 6.0 / 6, 1e-6);
  // A corner has three neighbours; the weights are divided by their sum, 5/12.
  result = x.clone();
  linear_imputer(e, 0, 0)(result.data<float>(), std::vector<std::size_t>{8});
  EXPECT_NEAR(result.data<float>()[8], (99.0 / 12 + 6.0 / 6) / (5.0 / 12), 1e-5);
  // Two neighbours are solved together: the first is 1/6 of the second, the second of the first.
  const Tensor row = floats({1, 1, 1, 4}, {1, 0, 0, 4});
  const Network line = identity(row.shape());
  const Evaluation f{.network = line, .inputs = row, .ids = {0}};
  result = row.clone();
  linear_imputer(f, 0, 0)(result.data<float>(), std::vector<std::size_t>{1, 2});
  EXPECT_NEAR(result.data<float>()[1], 2, 1e-6);
  EXPECT_NEAR(result.data<float>()[2], 3, 1e-6);
}

TEST_F(Imputer, AnotherImageDoesNotHangOnTheOrder) {
  const Tensor x = random_tensor({4, 1, 2, 2}, 5);
  const Network network = identity({1, 1, 2, 2});
  const auto partner = [&](const std::vector<std::uint64_t>& order) {
    const Donors donors{order, {}, [&](std::int64_t k) {
                          const auto id = static_cast<std::int64_t>(order[static_cast<std::size_t>(k)]);
                          return x.rows(id, id + 1);
                        }};
    const Evaluation e{
        .network = network, .inputs = x.rows(0, 1), .ids = {0}, .donors = [&]() -> const Donors& {
          return donors;
        }};
    Tensor result = x.rows(0, 1).clone();
    imputer("another", e, 0, 1)(result.data<float>(), std::vector<std::size_t>{0, 1, 2, 3});
    return result;
  };
  const Tensor first = partner({0, 1, 2, 3});
  expect_equal(first, partner({3, 1, 0, 2}));
  EXPECT_NE(first.data<float>()[0], x.data<float>()[0]);
  EXPECT_THROW(partner({0}), UsageError);
}

TEST_F(Imputer, UniformNoiseStaysInTheRange) {
  const Tensor x = random_tensor({1, 2, 6, 6}, 3, -3, 2);
  std::vector<std::size_t> all(36);
  for (std::size_t k = 0; k < 36; ++k) all[k] = k;
  const Tensor result = impute("uniform", x, all);
  for (std::size_t c = 0; c < 2; ++c) {
    const auto [low, high] = std::ranges::minmax(x.data<float>().subspan(c * 36, 36));
    for (float v : result.data<float>().subspan(c * 36, 36)) {
      EXPECT_GE(v, low);
      EXPECT_LE(v, high);
    }
  }
  EXPECT_THROW(impute("purple", x, all), UsageError);
}

}  // namespace heatproof
