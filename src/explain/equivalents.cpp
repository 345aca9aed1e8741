#include "explain/equivalents.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/spec.h"
#include "explain/equivalents_hidden.h"
#include "explain/equivalents_layers.h"
#include "graph/builder.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"
#include "ops/pooling.h"

namespace heatproof {

namespace {

/// Max pooling over values that are not negative, as maxima of two made from ReLUs.
template <typename Maximum>
Rewritten expand_max_pools(const Graph& graph, Maximum maximum) {
  return rewrite_nodes(
      graph, {&kMaxPool}, [&](Builder& g, const Node& node, const std::vector<Value>& inputs) -> Value {
        if (inputs[0].shape().rank() != 4 || inputs[0].sign() != Sign::non_negative) return {};
        const Shape& x = inputs[0].shape();
        const PoolGeometry p = pool_geometry(node.attributes, x);
        if (p.dilation != std::array<std::int64_t, 3>{1, 1, 1}) return {};
        const auto reach = [&](std::size_t i) { return (p.output[i] - 1) * p.stride[i] + p.kernel[i]; };
        const auto end = [&](std::size_t i) {
          return std::max<std::int64_t>(0, reach(i) - p.input[i] - p.begin[i]);
        };
        const Value padded =
            g.add(kPad, {inputs[0]},
                  {{"pads", std::vector<std::int64_t>{0, 0, p.begin[1], p.begin[2], 0, 0, end(1), end(2)}},
                   {"value", 0.0}});
        Value most;
        for (std::int64_t i = 0; i < p.kernel[1]; ++i) {
          for (std::int64_t j = 0; j < p.kernel[2]; ++j) {
            const Value part =
                g.add(kSlice, {padded},
                      {{"starts", std::vector<std::int64_t>{0, 0, i, j}},
                       {"ends", std::vector<std::int64_t>{x[0], x[1], i + (p.output[1] - 1) * p.stride[1] + 1,
                                                          j + (p.output[2] - 1) * p.stride[2] + 1}},
                       {"steps", std::vector<std::int64_t>{1, 1, p.stride[1], p.stride[2]}}});
            most = most ? maximum(g, most, part) : part;
          }
        }
        return most;
      });
}

Rewritten max_by_difference(const Graph& graph) {
  return expand_max_pools(graph, [](Builder& g, Value a, Value b) { return a + g.add(kRelu, {b - a}); });
}

Rewritten max_by_halves(const Graph& graph) {
  return expand_max_pools(graph, [](Builder& g, Value a, Value b) {
    return 0.5 * g.add(kRelu, {a - b}) + 0.5 * g.add(kRelu, {b - a}) + 0.5 * g.add(kRelu, {a + b});
  });
}

constexpr const char* kHidden = "hidden layers";
constexpr const char* kLayers = "layers";
constexpr const char* kConvolutions = "convolutions";
constexpr const char* kPools = "max poolings";

}  // namespace

const std::vector<Equivalent>& equivalents() {
  static const std::vector<Equivalent> all = {
      {"split", "hidden neurons as two with half of the outgoing weights", split_neurons, kHidden},
      {"rescale", "hidden neurons times c > 0, their outgoing weights divided by c", rescale, kHidden},
      {"permute", "hidden channels in another order", permute_channels, kHidden},
      {"identity", "relu(y) - relu(-y) after every layer", insert_identities, kLayers},
      {"matrix_product",
       "convolutions behind the first as products of a matrix of patches and one of weights",
       as_matrix_products, kConvolutions},
      {"zero_taps", "convolutions with a frame of zeros around their kernel", enlarge_kernels, kConvolutions},
      {"unfold_batch_norm", "a BatchNormalization taken out of convolutions, and not folded back",
       unfold_batch_norm, kConvolutions},
      {"max_difference", "max pooling as a + relu(b - a)", max_by_difference, kPools, true},
      {"max_halves", "max pooling as (relu(a - b) + relu(b - a) + relu(a + b)) / 2", max_by_halves, kPools,
       true},
  };
  return all;
}

const Equivalent& find_equivalent(const std::string& name) {
  std::vector<std::string> known;
  for (const Equivalent& e : equivalents()) {
    if (e.name == name) return e;
    known.push_back(e.name);
  }
  throw UsageError(fmt::format("unknown rewrite '{}'; did you mean '{}'?", name, nearest(name, known)));
}

Coverage coverage(const Equivalent& rewrite, const Graph& canonical) {
  const Rewritten r = rewrite.rewrite(canonical);
  return {r.places, r.candidates, rewrite.of};
}

std::string to_string(const Coverage& c) { return fmt::format("{} of {} {}", c.places, c.candidates, c.of); }

}  // namespace heatproof
