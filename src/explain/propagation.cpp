// The walk that hands relevance from node to node.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "explain/affine_input.h"
#include "explain/composite.h"
#include "explain/matching.h"
#include "explain/rules/rules.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/behaviour.h"
#include "ops/concat.h"
#include "ops/normalization.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

rules::Options options_of(const Parameters& p) {
  return {p.number("epsilon"),
          p.has("bias") && p.text("bias") == "ignore" ? rules::Bias::ignore : rules::Bias::keep};
}

using LinearRule = std::function<Operands(const Linear&, Value)>;

/// What a rule takes from the inputs' shares.
struct Takings {
  Value absorbed, stabilized;
};

/// takings: see rules::Options; may be null.
LinearRule linear_rule(const std::string& name, const Parameters& p, const PropagationInputs& in,
                       Takings* takings) {
  auto o = p.has("epsilon") ? options_of(p) : rules::Options{};
  if (takings != nullptr) o.absorbed = &takings->absorbed, o.stabilized = &takings->stabilized;
  if (name == "epsilon" || name == "norm")
    return [=](const Linear& l, Value R) { return rules::epsilon(l, R, o); };
  if (name == "gamma")
    return [=](const Linear& l, Value R) { return rules::gamma(l, R, p.number("gamma"), o); };
  if (name == "zplus") return [=](const Linear& l, Value R) { return rules::z_plus(l, R, o); };
  if (name == "alpha_beta") {
    return [=](const Linear& l, Value R) {
      return rules::alpha_beta(l, R, p.number("alpha"), p.number("beta"), o);
    };
  }
  if (name == "w2") return [=](const Linear& l, Value R) { return rules::w_square(l, R, o); };
  if (name == "flat") return [=](const Linear& l, Value R) { return rules::flat(l, R, o); };
  if (name == "zbox") return [=](const Linear& l, Value R) { return rules::z_box(l, R, in.low, in.high, o); };
  if (name == "deep_taylor") {
    return [=](const Linear& l, Value R) { return rules::deep_taylor(l, R, p.number("gamma"), o); };
  }
  return nullptr;
}

/// The rule of a node that nothing is assigned to.
std::string default_rule(Value node) {
  switch (behaviour_of(node)) {
    case Behaviour::normalization:
      return "pass";
    case Behaviour::linear:
      return scaled_operand(node) || node.is(kAbs) ? "pass" : "norm";
    default:
      return "gradient";
  }
}

class Propagation {
 public:
  Propagation(const PropagationInputs& in, const Composite& composite, const Records& records)
      : in_(in),
        composite_(composite),
        ledger_(records.ledger),
        rules_(records.rules),
        matches_(in.output),
        images_(in.input, in.low, in.high, in.output) {
    Builder& g = in.output.builder();
    for (NodeId id = in.input.id(); id <= in.output.id(); ++id)
      if (g.node(id).op == &kSlice) ++slices_[g.node(id).inputs[0]];
  }

  Value run() {
    const NodeId before = in_.output.builder().size();
    relevance_[in_.output.id()] = in_.relevance;
    knowledge_[in_.output.id()].vanishes = is_multiple(in_.relevance, in_.output);
    for (NodeId id = in_.output.id(); id > in_.input.id(); --id) {
      if (const Value R = arrived(id)) distribute(Value(&in_.output.builder(), id), R);
      if (in_.output.builder().size() - before > kMostNodes)
        throw UnsupportedError(fmt::format(
            "relevance of this network takes more than {} nodes, the limit; explain a smaller network",
            kMostNodes));
    }
    if (rules_ != nullptr) list_rules();
    const Value R = arrived(in_.input.id());
    return R ? R : zeros_like(in_.input);
  }

 private:
  /// What a node gets, and what it hands on.
  struct Outcome {
    std::string rule;
    bool by_default = false;  // left to the derivative
    std::vector<Contribution> contributions;
  };

  // Of one recipe: ten for each node of the largest networks that people explain, and two gigabytes.
  static constexpr NodeId kMostNodes = 1'000'000;
  // Values that are cut into more parts get the parts' relevance at once (sum_of_unslices).
  static constexpr int kManySlices = 128;

  /// All that a node gets; invalid where it gets nothing.
  Value arrived(NodeId id) {
    const auto it = relevance_.find(id);
    const Value R = it == relevance_.end() ? Value{} : it->second;
    const auto parts = parts_.find(id);
    if (parts == parts_.end()) return R;
    const Value sum = sum_of_unslices(std::move(parts->second));
    parts_.erase(parts);
    return R ? R + sum : sum;
  }

  void send(const Value& from, const Contribution& c) {
    const NodeId to = c.to.id();
    if (from.is(kSlice) && c.relevance.is(kUnslice) && slices_.at(to) > kManySlices) {
      parts_[to].push_back(c.relevance);
      return;
    }
    Value& total = relevance_[to];
    total = total ? total + c.relevance : c.relevance;
  }

  /// What is known of a node's relevance once all of it has arrived.
  struct Knowledge {
    bool vanishes = true;  // zero wherever the node's own value is
    Value active;          // ReLU(node), if all of it came through that ReLU and is zero wherever it is
    bool first = true;
  };

  /// Whether `relevance` is a product with `value`, or a sum of such. Sums of very many terms, which networks
  /// of thousands of residuals have, are not looked through: all that is lost is a shortcut.
  static bool is_multiple(const Value& relevance, const Value& value) {
    constexpr int kMostSums = 1000;
    const auto is_term = [&](const Value& v) {
      return v.sign() == Sign::zero ||
             ((v.is(kMul) || v.is(kMasked)) && (v.input(0) == value || v.input(1) == value));
    };
    if (!relevance.is(kAdd) || relevance.sign() == Sign::zero) return is_term(relevance);
    std::vector<Value> sums{relevance};
    for (int n = 0; !sums.empty(); ++n) {
      if (n == kMostSums) return false;
      const Value sum = sums.back();
      sums.pop_back();
      for (const Value& v : {sum.input(0), sum.input(1)}) {
        if (v.is(kAdd) && v.sign() != Sign::zero)
          sums.push_back(v);
        else if (!is_term(v))
          return false;
      }
    }
    return true;
  }

  void learn(const Value& node, const std::string& rule, const Contribution& c) {
    const bool vanishes = knowledge_[node.id()].vanishes;
    Knowledge& k = knowledge_[c.to.id()];
    // Operators that only select or scale elements hand zeros on with the elements that they belong to.
    const bool selected = node.node().op->traits.selects && vanishes && rule == "gradient";
    const bool factor = node.node().op->traits.kind == Kind::scaling && scaled_operand(node);
    const bool scaled = factor && vanishes && rule == "pass";
    k.vanishes = k.vanishes && (selected || scaled || is_multiple(c.relevance, c.to));
    const bool by_relu = node.is(kRelu) && (vanishes || is_multiple(c.relevance, step(node)));
    k.active = by_relu && k.first ? node : Value{};
    k.first = false;
  }

  void distribute(Value node, Value R) {
    Takings takings;
    const Outcome outcome = outcome_of(node, R, ledger_ != nullptr ? &takings : nullptr);
    const std::string& rule = outcome.rule;
    if (rules_ != nullptr) given_[node.id()] = {rule, outcome.by_default};
    Value leaving;
    for (const Contribution& c : outcome.contributions) {
      if (!c.relevance || c.to.constant()) continue;
      learn(node, rule.substr(0, rule.find(':')), c);
      send(node, c);
      if (ledger_ != nullptr) {
        const Value sum = per_sample_sum(c.relevance);
        leaving = leaving ? leaving + sum : sum;
      }
    }
    if (ledger_ != nullptr && leaving) {
      const auto sum = [this](Value x) { return x ? per_sample_sum(x) : x; };
      ledger_->push_back({node.node().name, std::string(node.node().op->name), rule, per_sample_sum(R),
                          leaving, sum(takings.absorbed), sum(takings.stabilized)});
    }
  }

  /// The batch is the outermost part of axis 0 (ops/batching.h).
  Value per_sample_sum(Value x) const {
    const std::int64_t rows = in_.input.shape()[0];
    if (!x.shape().empty() && x.shape()[0] != rows && x.shape()[0] % rows == 0)
      x = reshape(x, {rows, x.shape().elements() / rows});
    std::vector<std::int64_t> axes;
    for (int i = 1; i < x.shape().rank(); ++i) axes.push_back(i);
    return axes.empty() ? x : reduce_sum(x, axes, false);
  }

  Outcome outcome_of(Value node, Value R, Takings* takings) const {
    for (const Assignment& assignment : composite_) {
      if (!matches_(assignment.match, node)) continue;
      auto contributions = apply(node, R, parse_spec(assignment.rule), takings);
      if (contributions) return {assignment.rule, false, *std::move(contributions)};
      break;  // a rule of linear operators, assigned to another: the derivative
    }
    const std::string rule = default_rule(node);
    if (rule != "gradient") {
      if (auto contributions = apply(node, R, parse_spec(rule), takings))
        return {rule, false, *std::move(contributions)};
    }
    return {"gradient", behaviour_of(node) != Behaviour::selection, gradient(node, R)};
  }

  /// nullopt where the rule is one of linear operators, and the node is none.
  std::optional<std::vector<Contribution>> apply(Value node, Value R, const Spec& spec,
                                                 Takings* takings) const {
    using Contributions = std::vector<Contribution>;
    const auto declared = std::ranges::find(rule_declarations(), spec.name, &RuleDeclaration::name);
    if (declared == rule_declarations().end())
      throw UsageError(fmt::format("composite: unknown rule '{}'", spec.name));
    const Parameters p(spec, declared->parameters);
    if (spec.name == "gradient") return gradient(node, R);
    if (spec.name == "pass") return pass(node, R);
    if (spec.name == "guided") return Contributions{{node.input(0), rules::guided_backprop(node, R)}};
    if (spec.name == "deconvnet") return Contributions{{node.input(0), rules::deconvnet(node, R)}};
    auto linear = node.node().op->linear != nullptr ? node.node().op->linear(node) : std::nullopt;
    if (!linear) return std::nullopt;
    PropagationInputs in = in_;
    if (is_linear_layer(node)) {
      auto folded = images_.folded(node, *linear);
      std::tie(in.low, in.high) = images_.box(linear->a[0], folded.has_value());
      if (folded) linear = std::move(folded);
    }
    use_what_is_seen(*linear, p);
    const Operands shares = linear_rule(spec.name, p, in, takings)(*linear, R);
    Contributions contributions;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      // Moved elements of the input that no node of the network holds.
      if (linear->a[i].id() > node.id())
        contributions.push_back({in_.input, images_.pulled_back(linear->a[i], shares[i])});
      else
        contributions.push_back({linear->a[i], shares[i]});
    }
    return contributions;
  }

  static std::vector<Contribution> pass(Value node, Value R) {
    if (const Value x = normalized(node)) return {{x, R}};
    if (const Value x = scaled_operand(node)) return {{x, hand_on(node, R)}};
    return {{node.input(0), rules::pass(node, R)}};
  }

  /// Where relevance is zero unless the ReLU behind the layer is active, the ReLU's result serves as z: the
  /// layer's own, which is fused with the ReLU, need not be kept. Not without a stabilizer: 0 / 0 is not 0.
  void use_what_is_seen(Linear& layer, const Parameters& rule) const {
    const auto known = knowledge_.find(layer.output.id());
    const bool stabilized = !rule.has("epsilon") || static_cast<float>(rule.number("epsilon")) > 0;
    if (known == knowledge_.end() || !known->second.active || !stabilized) return;
    layer.output = known->second.active;
    layer.active = true;
  }

  static std::vector<Contribution> gradient(Value node, Value R) {
    if (node.node().op->derivative == nullptr) {
      throw UnsupportedError(fmt::format("node '{}' ({}): no derivative, so relevance cannot pass through it",
                                         node.node().name, node.node().op->name));
    }
    const std::vector<Value> gradients = node.node().op->derivative(node, R);
    std::vector<Contribution> contributions;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (node.input(i)) contributions.push_back({node.input(i), gradients[i]});
    }
    return contributions;
  }

  /// Of all nodes that lie between input and output.
  void list_rules() {
    Builder& g = in_.output.builder();
    const NodeId last = in_.output.id();
    std::vector<bool> after(static_cast<std::size_t>(last) + 1, false);
    std::vector<bool> before = after;
    const auto at = [](std::vector<bool>& v, NodeId id) -> std::vector<bool>::reference {
      return v[static_cast<std::size_t>(id)];
    };
    at(after, in_.input.id()) = at(before, last) = true;
    const auto each_input = [&](NodeId id, auto f) {
      for (const NodeId input : g.node(id).inputs)
        if (input != kNone) f(input);
    };
    for (NodeId id = in_.input.id() + 1; id <= last; ++id)
      each_input(id, [&](NodeId input) { at(after, id) = at(after, id) || at(after, input); });
    for (NodeId id = last; id > in_.input.id(); --id)
      if (at(before, id)) each_input(id, [&](NodeId input) { at(before, input) = true; });
    for (NodeId id = in_.input.id() + 1; id <= last; ++id) {
      if (!at(after, id) || !at(before, id)) continue;
      const Value node(&g, id);
      const auto given = given_.find(id);
      const auto [rule, by_default] = given == given_.end() ? Given{} : given->second;
      rules_->push_back(
          {node.node().name, std::string(node.node().op->name), behaviour_of(node), rule, by_default});
    }
  }

  struct Given {
    std::string rule;
    bool by_default = false;
  };

  const PropagationInputs& in_;
  const Composite& composite_;
  std::vector<LedgerEntry>* ledger_;
  std::vector<NodeRule>* rules_;
  Matching matches_;
  AffineImages images_;
  std::map<NodeId, int> slices_;  // of values that are cut
  std::map<NodeId, std::vector<Value>> parts_;
  std::map<NodeId, Value> relevance_;
  std::map<NodeId, Knowledge> knowledge_;
  std::map<NodeId, Given> given_;
};

}  // namespace

Value propagate(const PropagationInputs& in, const Composite& composite, const Records& records) {
  return Propagation(in, composite, records).run();
}

}  // namespace heatproof
