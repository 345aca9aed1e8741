// GELU written out, as exporters before opset 20 do.
#include <cmath>
#include <vector>

#include "ops/elementwise.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// A product taken apart: a number times values.
struct Product {
  double scale = 1;
  std::vector<Value> factors;

  explicit Product(Value v) { add(v, 0); }

  void add(Value v, int depth) {
    if (const auto number = splat(v.node())) {
      scale *= *number;
    } else if (v.is(kMul) && depth < 8) {
      add(v.input(0), depth + 1);
      add(v.input(1), depth + 1);
    } else if (v.is(kDiv) && splat(v.input(1).node()) && depth < 8) {
      scale /= *splat(v.input(1).node());
      add(v.input(0), depth + 1);
    } else if (v.is(kPow) && splat(v.input(1).node()) == 3.0F) {
      factors.insert(factors.end(), 3, v.input(0));
    } else {
      factors.push_back(v);
    }
  }
  bool is(double wanted, const std::vector<Value>& values) const {
    return std::fabs(scale - wanted) < 1e-4 * std::fabs(wanted) && factors == values;
  }
};

/// x + 0.044715 · x³
bool is_cubic(Value v, Value x) {
  if (!v.is(kAdd)) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    if (v.input(i) == x && Product(v.input(1 - i)).is(0.044715, {x, x, x})) return true;
  }
  return false;
}

}  // namespace

Value recognise_gelu(Value product) {
  const Product p(product);
  if (p.factors.size() != 2 || std::fabs(p.scale - 0.5) > 1e-5) return {};
  for (std::size_t i = 0; i < 2; ++i) {
    const Value gate = p.factors[i];
    const Value x = p.factors[1 - i];
    if (!gate.is(kAdd)) continue;
    for (std::size_t k = 0; k < 2; ++k) {
      const Value inner = gate.input(1 - k);
      if (splat(gate.input(k).node()) != 1.0F || inner.inputs() != 1) continue;
      const Product argument(inner.input(0));
      if (inner.is(kErf) && argument.is(std::sqrt(0.5), {x}))
        return product.builder().add(kGelu, {x}, {{"approximate", std::string("none")}}, product.node().name);
      const bool cubic = argument.factors.size() == 1 && is_cubic(argument.factors[0], x);
      if (inner.is(kTanh) && cubic && argument.is(std::sqrt(2 / 3.14159265358979323846), argument.factors))
        return product.builder().add(kGelu, {x}, {{"approximate", std::string("tanh")}}, product.node().name);
    }
  }
  return {};
}

}  // namespace heatproof
