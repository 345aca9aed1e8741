#include "explain/deeplift.h"

#include <fmt/format.h>

#include <map>

#include "explain/parameters.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

/// Changes of an input below this count as none (captum's eps).
constexpr double kNoChange = 1e-10;

/// A node with its operands as they are (x) and as they are for the baseline (r).
struct Pair {
  Value node, reference;
  Value x(std::size_t i) const { return node.input(i); }
  Value r(std::size_t i) const { return references[i]; }
  std::vector<Value> references;
};

Value inverse(Value x) { return x.builder().add(kReciprocal, {x}); }

/// M · Δout / Δin, and the derivative at x where Δin is zero.
Value rescale(const Pair& p, std::size_t i, Value M) {
  const Value change = p.x(i) - p.r(i);
  const Value none = step(kNoChange - abs(change));
  const Value slope = (1 - none) * (p.node - p.reference) / (change + none);
  return M * slope + none * p.node.node().op->derivative(p.node, M)[i];
}

/// The change of each maximum, in two parts: what x's maximum adds above the reference's, and what it loses.
Value max_pool(const Pair& p, Value M) {
  const Value gain = positive(p.node - p.reference);
  const Value loss = negative(p.node - p.reference);
  const auto route = [&](Value from, Value node, Value change) {
    Builder& g = from.builder();
    return g.add(kMaxPoolGradient, {from, M * change}, node.attributes());
  };
  const Value shares = route(p.x(0), p.node, gain) + route(p.r(0), p.node, loss);
  const Value change = p.x(0) - p.r(0);
  const Value none = step(kNoChange - abs(change));
  return shares / (change + none) * (1 - none);
}

/// Operands of something that is linear in each of them: the derivative half way.
std::vector<Value> bilinear(const Pair& p, Value M) {
  Builder& g = M.builder();
  const Value middle =
      g.add(*p.node.node().op, {(p.x(0) + p.r(0)) / 2, (p.x(1) + p.r(1)) / 2}, p.node.attributes());
  // Where the builder simplified, there is nothing bilinear left.
  if (!middle.is(*p.node.node().op)) return p.node.node().op->derivative(p.node, M);
  return p.node.node().op->derivative(middle, M);
}

/// a / b as the product of a and 1/b, whose change is −Δb / (b b₀).
std::vector<Value> quotient(const Pair& p, Value M) {
  const Value factor = (inverse(p.x(1)) + inverse(p.r(1))) / 2;
  const Value numerator = (p.x(0) + p.r(0)) / 2;
  return {sum_to(M * factor, p.x(0).shape()), sum_to(-(M * numerator) / (p.x(1) * p.r(1)), p.x(1).shape())};
}

/// exp(x − c) / Σ exp(x − c), with the same c for x and the baseline: each of the three steps by its rule.
Value softmax(const Pair& p, Value M) {
  const std::int64_t axis = p.node.attributes().integer("axis", -1);
  const Value x = p.x(0);
  const Value r = p.r(0);
  Builder& g = x.builder();
  const auto highest = [&](Value v) {
    return g.add(kReduceMax, {v}, {{"axes", std::vector<std::int64_t>{axis}}, {"keepdims", std::int64_t{1}}});
  };
  const Value c = g.add(kMax, {highest(x), highest(r)});
  const Value e = g.add(kExp, {x - c});
  const Value e0 = g.add(kExp, {r - c});
  const Value sum = reduce_sum(e, {axis}, true);
  const Value sum0 = reduce_sum(e0, {axis}, true);
  const Value direct = M * ((inverse(sum) + inverse(sum0)) / 2);
  const Value through_sum = -reduce_sum(M * ((e + e0) / 2), {axis}, true) / (sum * sum0);
  const Value change = x - r;
  const Value none = step(kNoChange - abs(change));
  const Value slope = (1 - none) * (e - e0) / (change + none) + none * e;
  return (direct + through_sum) * slope;
}

class DeepLift {
 public:
  DeepLift(Value input, Value baseline, Value output) : input_(input), output_(output) {
    reference_[input.id()] = baseline;
    Builder& g = input.builder();
    const NodeId last = output.id();
    for (NodeId id = input.id() + 1; id <= last; ++id) {
      const Value node(&g, id);
      bool moves = false;
      for (std::size_t i = 0; i < node.inputs(); ++i)
        moves = moves || (node.input(i) && reference_.contains(node.input(i).id()));
      if (!moves) continue;
      reference_[id] = g.add(*node.node().op, references_of(node), node.attributes());
    }
  }

  Value multipliers(Value start) {
    multiplier_[output_.id()] = start;
    for (NodeId id = output_.id(); id > input_.id(); --id) {
      const auto it = multiplier_.find(id);
      if (it != multiplier_.end() && reference_.contains(id))
        distribute(Value(&output_.builder(), id), it->second);
    }
    const auto it = multiplier_.find(input_.id());
    return it == multiplier_.end() ? zeros_like(input_) : it->second;
  }

 private:
  std::vector<Value> references_of(const Value& node) const {
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < node.inputs(); ++i) {
      const Value x = node.input(i);
      const auto it = x ? reference_.find(x.id()) : reference_.end();
      inputs.push_back(it == reference_.end() ? x : it->second);
    }
    return inputs;
  }

  void distribute(Value node, Value M) {
    const std::vector<Value> shares = shares_of({node, reference_.at(node.id()), references_of(node)}, M);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (!shares[i] || !node.input(i) || !reference_.contains(node.input(i).id())) continue;
      Value& total = multiplier_[node.input(i).id()];
      total = total ? total + shares[i] : shares[i];
    }
  }

  std::vector<Value> shares_of(const Pair& p, Value M) const {
    const Operator& op = *p.node.node().op;
    std::vector<std::size_t> variable;
    for (std::size_t i = 0; i < p.node.inputs(); ++i)
      if (p.x(i) && reference_.contains(p.x(i).id())) variable.push_back(i);
    if (p.node.is(kMaxPool)) return {max_pool(p, M)};
    if (p.node.is(kSoftmax)) return {softmax(p, M)};
    if (variable.size() == 2 && (p.node.is(kMul) || p.node.is(kMatMul))) return bilinear(p, M);
    if (variable.size() == 2 && p.node.is(kDiv)) return quotient(p, M);
    if (op.derivative == nullptr) {
      throw UnsupportedError(fmt::format("node '{}' ({}): no derivative, so deeplift cannot pass through it",
                                         p.node.node().name, op.name));
    }
    // An elementwise function of one variable that is not linear in it; broadcasting needs a sum first.
    const bool linear = p.node.is(kAdd) || p.node.is(kSub) || p.node.is(kNeg) || p.node.is(kMul) ||
                        (p.node.is(kDiv) && variable == std::vector<std::size_t>{0});
    if (op.traits.elementwise.tile != nullptr && !linear && variable.size() == 1 &&
        p.x(variable[0]).shape() == p.node.shape()) {
      std::vector<Value> shares(p.node.inputs());
      shares[variable[0]] = rescale(p, variable[0], M);
      return shares;
    }
    return op.derivative(p.node, M);
  }

  Value input_, output_;
  std::map<NodeId, Value> reference_, multiplier_;
};

}  // namespace

Value deeplift(const MethodInputs& in, const Parameters& p) {
  const Value x = in.forward.input;
  const Value x0 = baseline(x, p.text("baseline"), in.low, in.high);
  DeepLift walk(x, x0, explained(in.forward, p));
  return (x - x0) * walk.multipliers(in.one_hot);
}

}  // namespace heatproof
