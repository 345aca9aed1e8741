#include "support/networks.h"

#include "explain/explainer.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof::testing {

namespace {

Value flat_input(Builder& g, const Shape& shape, std::int64_t batch) {
  Shape whole{batch};
  whole.insert(whole.end(), shape.begin(), shape.end());
  return reshape(g.input("x", {DType::f32, whole}), {batch, shape.elements()});
}

}  // namespace

Network linear_network(const Shape& shape, const Tensor& weights, const Tensor& bias) {
  return Network([=](std::int64_t batch) {
    Builder g;
    const Value x = flat_input(g, shape, batch);
    g.output("y", g.add(kLinear, {x, g.constant(weights), g.constant(bias)}));
    return g.build();
  });
}

Network relu_network(const Shape& shape, const Tensor& weights, const Tensor& bias, const Tensor& second) {
  return Network([=](std::int64_t batch) {
    Builder g;
    const Value x = flat_input(g, shape, batch);
    const Value h = g.add(kRelu, {g.add(kLinear, {x, g.constant(weights), g.constant(bias)})});
    g.output("y", g.add(kLinear, {h, g.constant(second)}));
    return g.build();
  });
}

Tensor explain_with(const Network& network, const std::string& recipe, const Tensor& inputs,
                    std::int64_t target) {
  const std::vector<std::int64_t> targets(static_cast<std::size_t>(inputs.shape()[0]), target);
  return Explainer(network, {parse_recipe(recipe)}, {}).explain(inputs, targets).relevance[0];
}

double sum_of_row(const Tensor& t, std::int64_t n) {
  double total = 0;
  const Tensor row = t.rows(n, n + 1);
  for (float v : row.data<float>()) total += v;
  return total;
}

}  // namespace heatproof::testing
