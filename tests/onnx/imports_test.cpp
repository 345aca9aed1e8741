// Networks as converters and people write them (tests/goldens/make_import_goldens.py), and those beside the
// project.
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <iostream>
#include <set>

#include "base/files.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "onnx/import.h"
#include "support/compare.h"
#include "support/files.h"
#include "support/networks.h"

namespace heatproof {

using namespace testing;

namespace {

constexpr double kTolerance = 1e-5;

std::string bytes_of(const Tensor& t) {
  std::string bytes;
  for (std::int64_t byte : t.data<std::int64_t>()) bytes += static_cast<char>(byte);
  return bytes;
}

/// How far a result is off; infinite where there is none.
template <typename F>
double gap(F&& result, const Tensor& right) {
  try {
    return deviation(result(), right);
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return INFINITY;
  }
}

void expect_right(const std::string& name, double gap, const char* what) {
  EXPECT_LT(gap, kTolerance) << name << ": " << what;
}

struct ImportCase {
  std::string model;
  Tensor input, output, gradient;
};

std::map<std::string, ImportCase> import_cases() {
  std::map<std::string, ImportCase> cases;
  for (const auto& [key, tensor] : read_npz(golden("imports.npz"))) {
    const auto slash = key.find('/');
    ImportCase& c = cases[key.substr(0, slash)];
    const std::string role = key.substr(slash + 1);
    if (role == "model")
      c.model = bytes_of(tensor);
    else
      (role == "input" ? c.input : role == "output" ? c.output : c.gradient) = tensor;
  }
  return cases;
}

Tensor first_of(const Tensor& t) { return t.rows(0, 1); }

std::filesystem::path shared_networks() {
  for (const char* up : {"..", "../.."}) {
    const auto path = std::filesystem::path(HEATPROOF_SOURCE_DIR) / up / "shared/cases/networks";
    if (std::filesystem::exists(path)) return path;
  }
  return {};
}

}  // namespace

TEST(Imports, GiveTheRightLogitsAndDerivativesAloneAndTogether) {
  const TemporaryFolder folder;
  const auto cases = import_cases();
  EXPECT_GE(cases.size(), 14U);
  for (const auto& [name, c] : cases) {
    SCOPED_TRACE(name);
    write_file(folder / "m.onnx", c.model);
    const auto network = [&] { return network_of(folder / "m.onnx"); };
    for (const bool together : {true, false}) {
      const auto some = [&](const Tensor& t) { return together ? t : first_of(t); };
      expect_right(name, gap([&] { return network().predict(some(c.input)); }, some(c.output)), "logits");
      expect_right(name,
                   gap([&] { return explain_with(network(), "gradient", some(c.input)); }, some(c.gradient)),
                   "derivative");
    }
  }
}

TEST(Imports, EveryOperatorThatIsImportedHasACase) {
  std::set<std::string> tested;
  for (const char* file : {"operators.npz", "imports.npz"}) {
    for (const auto& [key, tensor] : read_npz(golden(file))) {
      onnx::ModelProto model;
      if (key.ends_with("/model") && model.ParseFromString(bytes_of(tensor)))
        for (const auto& node : model.graph().node()) tested.insert(node.op_type());
    }
  }
  for (const auto& [name, importer] : importers()) EXPECT_TRUE(tested.contains(name)) << name;
}

TEST(SharedNetworks, GiveTheRightLogitsAndDerivatives) {
  const auto folder = shared_networks();
  if (folder.empty()) GTEST_SKIP() << "shared cases are not here";
  const Tensor x3 = read_npy(folder / "x3.npy");
  const Tensor x4 = read_npy(folder / "x4.npy");
  const auto floats_of = [](const Shape& shape, std::vector<float> values) {
    return Tensor::of(shape, std::span<const float>(values));
  };
  const auto check_logits = [&](const std::string& name, const Tensor& x, const Tensor& right) {
    expect_right(name, gap([&] { return network_of(folder / name).predict(x); }, right), "logits");
  };
  check_logits("where_inf.onnx", x3, floats_of({1, 2}, {1.364851F, 2.364851F}));
  check_logits("mod_of_constants.onnx", x3, x3);
  check_logits("cast_not_sorted.onnx", x3, floats_of({1, 3}, {0.5F, 0, 2}));
  check_logits("slice_negative_step.onnx", x4, floats_of({1, 4}, {3, 2, -1, 0.5F}));
  // mean 1.125, variance 2.296875, by hand
  const double v = 2.296875 + 1e-5;
  check_logits("layernorm_three_outputs.onnx", x4,
               floats_of({1, 4}, {static_cast<float>(-0.625 / v), static_cast<float>(-2.125 / v),
                                  static_cast<float>(0.875 / v), static_cast<float>(1.875 / v)}));
  const Tensor nodes = read_npy(folder / "gat_masked_fill_input.npy");
  const std::string gat = "gat_masked_fill.onnx";
  const auto finite = [&](const char* recipe) {
    const Network network = network_of(folder / gat);
    const Tensor y = recipe == nullptr ? network.predict(nodes) : explain_with(network, recipe, nodes);
    return y;
  };
  expect_right(gat, gap([&] { return finite(nullptr); }, finite(nullptr)), "logits");
  expect_right(gat, gap([&] { return finite("gradient"); }, finite("gradient")), "derivative");
  const std::string rows = "seqfirst_flat_batch3.onnx";
  const Tensor many = read_npy(folder / "seqfirst_flat_batch16_input.npy");
  check_logits(rows, many, read_npy(folder / "seqfirst_flat_batch16_right.npy"));
  const auto third = [&] { return explain_with(network_of(folder / rows), "gradient", many.rows(2, 3)); };
  expect_right(
      rows,
      gap([&] { return explain_with(network_of(folder / rows), "gradient", many).rows(2, 3); }, third()),
      "derivative");
  const std::string root = "sqrt_relu_nan_gradient.onnx";
  expect_right(root,
               gap([&] { return explain_with(network_of(folder / root), "gradient", x3); },
                   floats_of({1, 3}, {0.70710678F, 0, 1.76776695F})),
               "derivative");
}

TEST(SharedNetworks, TreesAreRefusedByName) {
  const auto folder = shared_networks();
  if (folder.empty()) GTEST_SKIP() << "shared cases are not here";
  try {
    Model::load(folder / "xgb_opset0.onnx");
    ADD_FAILURE();
  } catch (const UnsupportedError& e) {
    EXPECT_NE(std::string(e.what()).find("TreeEnsembleClassifier"), std::string::npos) << e.what();
  }
}

}  // namespace heatproof
