#include "explain/composite.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "explain/rules/rules.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

const std::vector<std::string> kBiasWords{"keep", "ignore"};

Parameter stabilizer() { return {"epsilon", 1e-6, "stabilizer of the denominator", 0.0}; }
Parameter bias() {
  return {"bias", std::string("keep"), "whether biases take part in the denominator", {}, {}, kBiasWords};
}

bool is_linear_layer(const Value& node) {
  const Kind kind = node.node().op->traits.kind;
  return (kind == Kind::convolution || kind == Kind::dense) && node.input(1) && node.input(1).constant();
}

/// Sums of two variable values are layers; adding a constant is not.
bool is_kind(const Value& node, const std::string& word) {
  static const std::map<std::string, Kind> kinds{{"activation", Kind::activation},
                                                 {"convolution", Kind::convolution},
                                                 {"dense", Kind::dense},
                                                 {"sum", Kind::sum},
                                                 {"average_pool", Kind::average_pool},
                                                 {"max_pool", Kind::max_pool},
                                                 {"normalization", Kind::normalization},
                                                 {"softmax", Kind::softmax}};
  if (word == "linear") return is_linear_layer(node);
  const auto it = kinds.find(word);
  if (it == kinds.end()) throw UsageError(fmt::format("composite: unknown match '{}'", word));
  if (node.node().op->traits.kind != it->second) return false;
  if (it->second == Kind::sum) return !node.input(0).constant() && !node.input(1).constant();
  if (it->second == Kind::convolution || it->second == Kind::dense) return is_linear_layer(node);
  return true;
}

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

class Propagation {
 public:
  Propagation(const PropagationInputs& in, const Composite& composite, std::vector<LedgerEntry>* ledger)
      : in_(in), composite_(composite), ledger_(ledger) {
    find_positions();
  }

  Value run() {
    relevance_[in_.output.id()] = in_.relevance;
    knowledge_[in_.output.id()].vanishes = is_multiple(in_.relevance, in_.output);
    for (NodeId id = in_.output.id(); id > in_.input.id(); --id) {
      const auto it = relevance_.find(id);
      if (it == relevance_.end()) continue;
      distribute(Value(&in_.output.builder(), id), it->second);
    }
    const auto it = relevance_.find(in_.input.id());
    return it == relevance_.end() ? zeros_like(in_.input) : it->second;
  }

 private:
  /// Finds, for every node, whether linear layers lie between it and the input, and between it and the
  /// output.
  void find_positions() {
    const auto size = static_cast<std::size_t>(in_.output.id()) + 1;
    layer_before_.assign(size, false);
    layer_after_.assign(size, false);
    Builder& g = in_.output.builder();
    for (NodeId id = 0; id < static_cast<NodeId>(size); ++id) {
      for (NodeId input : g.node(id).inputs) {
        if (input == kNone || g.constant(input)) continue;
        const auto i = static_cast<std::size_t>(input);
        if (layer_before_[i] || is_linear_layer(Value(&g, input)))
          layer_before_[static_cast<std::size_t>(id)] = true;
      }
    }
    for (NodeId id = in_.output.id(); id >= 0; --id) {
      const auto k = static_cast<std::size_t>(id);
      const bool after = layer_after_[k] || is_linear_layer(Value(&g, id));
      for (NodeId input : g.node(id).inputs) {
        if (after && input != kNone && !g.constant(input))
          layer_after_[static_cast<std::size_t>(input)] = true;
      }
    }
  }

  bool matches(const std::string& match, const Value& node) const {
    std::string_view text = match;
    if (text.starts_with("first ")) {
      if (layer_before_[static_cast<std::size_t>(node.id())]) return false;
      text.remove_prefix(6);
    } else if (text.starts_with("last ")) {
      if (layer_after_[static_cast<std::size_t>(node.id())]) return false;
      text.remove_prefix(5);
    }
    if (text.starts_with("op:")) return node.node().op->name == text.substr(3);
    if (text.starts_with("name:")) return matches_glob(text.substr(5), node.node().name);
    return is_kind(node, std::string(text));
  }

  /// What is known of a node's relevance once all of it has arrived.
  struct Knowledge {
    bool vanishes = true;  // zero wherever the node's own value is
    Value active;          // ReLU(node), if all of it came through that ReLU and is zero wherever it is
    bool first = true;
  };

  /// Whether `relevance` is a product with `value`, or a sum of such.
  static bool is_multiple(const Value& relevance, const Value& value) {
    if (relevance.sign() == Sign::zero) return true;
    if (relevance.is(kMul)) return relevance.input(0) == value || relevance.input(1) == value;
    return relevance.is(kAdd) && is_multiple(relevance.input(0), value) &&
           is_multiple(relevance.input(1), value);
  }

  void learn(const Value& node, const std::string& rule, const Contribution& c) {
    const bool vanishes = knowledge_[node.id()].vanishes;
    Knowledge& k = knowledge_[c.to.id()];
    // Operators that only select elements hand zeros on with the elements that they belong to.
    const bool selected = node.node().op->traits.selects && vanishes && rule == "gradient";
    k.vanishes = k.vanishes && (selected || is_multiple(c.relevance, c.to));
    const bool by_relu = node.is(kRelu) && (vanishes || is_multiple(c.relevance, step(node)));
    k.active = by_relu && k.first ? node : Value{};
    k.first = false;
  }

  void distribute(Value node, Value R) {
    std::string rule = "gradient";
    for (const Assignment& assignment : composite_) {
      if (matches(assignment.match, node)) {
        rule = assignment.rule;
        break;
      }
    }
    Takings takings;
    const std::vector<Contribution> contributions =
        apply(node, R, parse_spec(rule), ledger_ != nullptr ? &takings : nullptr);
    Value leaving;
    for (const Contribution& c : contributions) {
      if (!c.relevance || c.to.constant()) continue;
      learn(node, rule.substr(0, rule.find(':')), c);
      Value& total = relevance_[c.to.id()];
      total = total ? total + c.relevance : c.relevance;
      if (ledger_ != nullptr) {
        const Value sum = per_sample_sum(c.relevance);
        leaving = leaving ? leaving + sum : sum;
      }
    }
    if (ledger_ != nullptr && leaving) {
      const auto sum = [](Value x) { return x ? per_sample_sum(x) : x; };
      ledger_->push_back({node.node().name, std::string(node.node().op->name), rule, per_sample_sum(R),
                          leaving, sum(takings.absorbed), sum(takings.stabilized)});
    }
  }

  static Value per_sample_sum(Value x) {
    std::vector<std::int64_t> axes;
    for (int i = 1; i < x.shape().rank(); ++i) axes.push_back(i);
    return axes.empty() ? x : reduce_sum(x, axes, false);
  }

  std::vector<Contribution> apply(Value node, Value R, const Spec& spec, Takings* takings) const {
    const auto declared = std::ranges::find(rule_declarations(), spec.name, &RuleDeclaration::name);
    if (declared == rule_declarations().end())
      throw UsageError(fmt::format("composite: unknown rule '{}'", spec.name));
    const Parameters p(spec, declared->parameters);
    if (spec.name == "pass") return {{node.input(0), rules::pass(node, R)}};
    if (spec.name == "guided") return {{node.input(0), rules::guided_backprop(node, R)}};
    if (spec.name == "deconvnet") return {{node.input(0), rules::deconvnet(node, R)}};
    auto linear = node.node().op->linear != nullptr ? node.node().op->linear(node) : std::nullopt;
    if (linear) use_what_is_seen(*linear, p);
    if (const LinearRule rule = linear_rule(spec.name, p, in_, takings); rule && linear) {
      const Operands shares = rule(*linear, R);
      std::vector<Contribution> contributions;
      for (std::size_t i = 0; i < shares.size(); ++i) contributions.push_back({linear->a[i], shares[i]});
      return contributions;
    }
    return gradient(node, R);
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

  const PropagationInputs& in_;
  const Composite& composite_;
  std::vector<LedgerEntry>* ledger_;
  std::map<NodeId, Value> relevance_;
  std::map<NodeId, Knowledge> knowledge_;
  std::vector<bool> layer_before_, layer_after_;
};

}  // namespace

const std::vector<RuleDeclaration>& rule_declarations() {
  static const std::vector<RuleDeclaration> rules{
      {"gradient", {}, "the derivative, as in backpropagation"},
      {"pass", {}, "relevance goes through unchanged"},
      {"guided", {}, "guided backpropagation's ReLU"},
      {"deconvnet", {}, "the deconvnet's ReLU"},
      {"norm", {stabilizer()}, "shares in proportion to the operands of a sum or average"},
      {"epsilon", {stabilizer(), bias()}, "LRP-0 and LRP-epsilon"},
      {"gamma",
       {{"gamma", 0.25, "extra weight of what agrees with the output", 0.0}, stabilizer(), bias()},
       "LRP-gamma"},
      {"zplus", {stabilizer(), bias()}, "only contributions that excite"},
      {"alpha_beta",
       {{"alpha", 2.0, "weight of excitation", 1.0},
        {"beta", 1.0, "weight of inhibition", 0.0},
        stabilizer(),
        bias()},
       "LRP-alpha-beta"},
      {"w2", {stabilizer(), bias()}, "squared weights"},
      {"flat", {stabilizer()}, "evenly over connected inputs"},
      {"zbox", {stabilizer()}, "for inputs in a box"},
      {"deep_taylor",
       {{"gamma", 0.0, "share of inhibition in the search direction", 0.0, 1.0}, stabilizer(), bias()},
       "generalized deep Taylor decomposition"},
  };
  return rules;
}

Value propagate(const PropagationInputs& in, const Composite& composite, std::vector<LedgerEntry>* ledger) {
  return Propagation(in, composite, ledger).run();
}

}  // namespace heatproof
