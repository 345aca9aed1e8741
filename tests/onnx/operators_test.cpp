// The node tests of the ONNX standard (tests/goldens/make_operator_goldens.py).
#include <gtest/gtest.h>

#include <set>

#include "base/files.h"
#include "data/npy.h"
#include "engine/program.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "onnx/model.h"
#include "support/compare.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

struct Case {
  std::string model;
  std::map<std::string, Tensor> inputs, outputs;
};

std::map<std::string, Case> read_cases() {
  std::map<std::string, Case> cases;
  for (const auto& [key, tensor] : read_npz(golden("operators.npz"))) {
    const auto slash = key.find('/');
    Case& c = cases[key.substr(0, slash)];
    const std::string role = key.substr(slash + 1);
    if (role == "model") {
      for (std::int64_t byte : tensor.data<std::int64_t>()) c.model += static_cast<char>(byte);
    } else if (role.starts_with("input/")) {
      c.inputs[role.substr(6)] = tensor;
    } else {
      c.outputs[role.substr(7)] = tensor;
    }
  }
  return cases;
}

Tensor run_case(const Case& c, const std::filesystem::path& file) {
  write_file(file, c.model);
  const Model model = Model::load(file);
  Specialization wanted{.batch = model.declared_batch().value_or(1), .shapes = {}};
  for (const auto& [name, tensor] : c.inputs) wanted.shapes[name] = tensor.shape();
  const Graph graph = canonicalize(model.specialize(wanted));
  std::vector<Tensor> inputs;
  for (NodeId id : graph.inputs()) inputs.push_back(c.inputs.at(graph.node(id).name));
  return Workspace(compile(graph)).run(inputs).at(0);
}

// Refused with a clear error instead of computed.
const std::map<std::string, std::string> kRefused = {{"test_convtranspose_output_shape", "output_shape"}};

// The standard itself says NaN somewhere.
const std::set<std::string> kUndefined = {"test_mod_float_edge_cases_fmod_0_float32",
                                          "test_mod_float_edge_cases_fmod_0_float64"};

}  // namespace

TEST(OnnxOperators, AgreeWithTheStandard) {
  const TemporaryFolder folder;
  const auto cases = read_cases();
  EXPECT_GT(cases.size(), 300U);
  for (const auto& [name, c] : cases) {
    SCOPED_TRACE(name);
    if (const auto refused = kRefused.find(name); refused != kRefused.end()) {
      try {
        run_case(c, folder / "model.onnx");
        ADD_FAILURE() << "is computed now; remove it from the list";
      } catch (const UnsupportedError& e) {
        EXPECT_NE(std::string(e.what()).find(refused->second), std::string::npos) << e.what();
      }
      continue;
    }
    Tensor result;
    ASSERT_NO_THROW(result = run_case(c, folder / "model.onnx"));
    const Tensor& expected = c.outputs.begin()->second;
    if (kUndefined.contains(name))
      expect_close_or_nan(result, expected, 1e-4, 1e-5);
    else if (expected.dtype() == DType::f32)
      expect_close(result, expected, 1e-4, 1e-5);
    else
      expect_equal(result, expected);
  }
}

}  // namespace heatproof
