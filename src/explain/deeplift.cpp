#include "explain/deeplift.h"

#include <map>

#include "explain/deeplift_rules.h"
#include "explain/parameters.h"
#include "graph/operator.h"
#include "ops/arithmetic.h"

namespace heatproof {

namespace {

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
    Contrast c{node, reference_.at(node.id()), references_of(node), {}};
    for (std::size_t i = 0; i < node.inputs(); ++i)
      c.moves.push_back(node.input(i) && reference_.contains(node.input(i).id()));
    const std::vector<Value> shares = deeplift_multipliers(c, M);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (!shares[i] || !c.moves[i]) continue;
      Value& total = multiplier_[node.input(i).id()];
      total = total ? total + shares[i] : shares[i];
    }
  }

  Value input_, output_;
  std::map<NodeId, Value> reference_, multiplier_;
};

}  // namespace

Value deeplift(const MethodInputs& in, const Parameters& p) {
  const Value x = in.forward.input;
  const Value x0 = baseline(x, p.text("baseline"), in.low, in.high);
  DeepLift walk(x, x0, explained(in.forward, p));
  return masked(x - x0, walk.multipliers(in.one_hot));
}

}  // namespace heatproof
