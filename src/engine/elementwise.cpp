#include "engine/elementwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include "base/sizes.h"
#include "base/threads.h"
#include "graph/operator.h"

namespace heatproof {

namespace {

constexpr std::int64_t kTile = 1024;    // elements; a tile of each live value stays in the first-level cache
constexpr std::size_t kMostNodes = 24;  // per step
constexpr std::size_t kMostOperands = 3;  // inputs of one elementwise operator

/// Where the tile of an input comes from.
struct Source {
  enum class Kind { direct, scalar, strided } kind = Kind::direct;
  BufferId buffer = -1;
  float value = 0;                    // of a Fill
  std::vector<std::int64_t> strides;  // per physical axis of the result, in elements of the source
};

struct Instruction {
  Tile tile = nullptr;
  std::vector<float> parameters;
  std::vector<int> arguments;  // < sources: a source; otherwise sources + index of an earlier instruction
  BufferId output = -1;        // written to memory as well
  int slot = -1;               // scratch tile, when it is not written to memory
};

struct Plan {
  Shape shape;
  Layout layout;
  Physical physical;
  std::vector<Source> sources;
  std::vector<int> source_slots;  // scratch tile of scalar and strided sources; -1 for direct ones
  std::vector<Instruction> instructions;
  int slots = 0;
};

/// Copies elements [begin, begin + n) of the physical order from a broadcast source.
void gather(const Source& source, const Physical& p, const float* from, std::int64_t begin, std::int64_t n,
            float* to) {
  const int rank = static_cast<int>(p.lengths.size());
  std::array<std::int64_t, kMostAxes> index;  // as many are set as there are axes
  std::int64_t rest = begin;
  std::int64_t offset = 0;
  for (int i = rank - 1; i >= 0; --i) {
    const auto k = static_cast<std::size_t>(i);
    index[k] = rest % p.lengths[k];
    rest /= p.lengths[k];
    offset += index[k] * source.strides[k];
  }
  const auto last = static_cast<std::size_t>(rank - 1);
  const std::int64_t stride = source.strides[last];
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t run = std::min(n - done, p.lengths[last] - index[last]);
    if (stride == 0) {
      std::fill_n(to + done, run, from[offset]);
    } else {
      for (std::int64_t i = 0; i < run; ++i) to[done + i] = from[offset + i * stride];
    }
    done += run;
    offset -= index[last] * stride;
    index[last] = 0;
    for (int i = rank - 2; i >= 0; --i) {
      const auto k = static_cast<std::size_t>(i);
      offset += source.strides[k];
      if (++index[k] < p.lengths[k]) break;
      offset -= p.lengths[k] * source.strides[k];
      index[k] = 0;
    }
  }
}

/// Sets the channels of the last block that do not exist to zero.
void clear_padding(const Shape& shape, Layout layout, float* values) {
  const std::int64_t blocks = (shape[1] + layout.block - 1) / layout.block;
  const std::int64_t used = shape[1] - (blocks - 1) * layout.block;
  std::int64_t spatial = 1;
  for (int i = 2; i < shape.rank(); ++i) spatial *= shape[static_cast<std::size_t>(i)];
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    float* block = values + (n * blocks + blocks - 1) * spatial * layout.block;
    for (std::int64_t i = 0; i < spatial; ++i) {
      std::fill(block + i * layout.block + used, block + (i + 1) * layout.block, 0.0F);
    }
  }
}

/// Strides of a row-major value of `shape` that is broadcast to `target`, per physical axis of the target's
/// layout. The block axis may run past the last channel of the source, whose reads are then clamped by
/// `safe`.
std::vector<std::int64_t> broadcast_strides(const Shape& shape, const Shape& target, const Physical& p) {
  const auto own = shape.strides();
  const int shift = target.rank() - shape.rank();
  std::vector<std::int64_t> strides;
  for (std::size_t i = 0; i < p.lengths.size(); ++i) {
    const int axis = p.axis[i] - shift;
    const bool repeated = axis < 0 || shape[static_cast<std::size_t>(axis)] == 1;
    strides.push_back(repeated ? 0 : own[static_cast<std::size_t>(axis)] * p.step[i]);
  }
  return strides;
}

/// Which nodes one step computes: `root` and pending elementwise nodes of its shape below it, in topological
/// order.
std::vector<NodeId> collect(const Lowering& l, NodeId root) {
  std::set<NodeId> members{root};
  std::vector<NodeId> open{root};
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    for (NodeId input : l.node(id).inputs) {
      if (input == kNone || l.has_result(input) || members.contains(input) || members.size() >= kMostNodes)
        continue;
      if (!is_elementwise(l.graph(), input) || l.shape(input) != l.shape(root)) continue;
      if (l.constant(input) != l.constant(root)) continue;
      members.insert(input);
      open.push_back(input);
    }
  }
  return {members.begin(), members.end()};  // ids are in topological order
}

Layout choose_layout(const std::vector<Operand>& operands, const Shape& shape) {
  for (const Operand& operand : operands) {
    if (operand.shape != shape || operand.layout.plain()) continue;
    if (stored_elements(shape, operand.layout) <= 2 * shape.elements()) return operand.layout;
  }
  return {};
}

void run_tile(const Plan& plan, const std::vector<float*>& sources, const std::vector<float*>& outputs,
              float* scratch, std::int64_t begin, std::int64_t n) {
  std::array<float*, (kMostOperands + 1) * kMostNodes> at{};
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    if (plan.sources[i].kind == Source::Kind::direct) {
      at[i] = sources[i] + begin;
    } else {
      at[i] = scratch + plan.source_slots[i] * kTile;
      if (plan.sources[i].kind == Source::Kind::strided) {
        gather(plan.sources[i], plan.physical, sources[i], begin, n, at[i]);
      }
    }
  }
  for (std::size_t i = 0; i < plan.instructions.size(); ++i) {
    const Instruction& instruction = plan.instructions[i];
    std::array<const float*, kMostOperands> arguments{};
    for (std::size_t k = 0; k < instruction.arguments.size(); ++k) {
      arguments[k] = at[static_cast<std::size_t>(instruction.arguments[k])];
    }
    float* to = outputs[i] != nullptr ? outputs[i] + begin : scratch + instruction.slot * kTile;
    instruction.tile(arguments.data(), to, n, instruction.parameters.data());
    at[plan.sources.size() + i] = to;
  }
}

void fill_scalars(const Plan& plan, const std::vector<float*>& sources, float* scratch) {
  for (std::size_t i = 0; i < plan.sources.size(); ++i) {
    if (plan.sources[i].kind != Source::Kind::scalar) continue;
    const float value = plan.sources[i].buffer < 0 ? plan.sources[i].value : *sources[i];
    std::fill_n(scratch + plan.source_slots[i] * kTile, kTile, value);
  }
}

Action bind(const std::shared_ptr<const Plan>& plan, const Binding& binding) {
  std::vector<float*> sources;
  std::vector<float*> outputs;
  for (const Source& s : plan->sources) sources.push_back(s.buffer < 0 ? nullptr : binding.f32(s.buffer));
  for (const Instruction& i : plan->instructions)
    outputs.push_back(i.output < 0 ? nullptr : binding.f32(i.output));
  return [plan, sources = std::move(sources), outputs = std::move(outputs)] {
    const std::int64_t n = plan->physical.elements();
    parallel_for((n + kTile - 1) / kTile, 4, [&](std::int64_t first, std::int64_t last) {
      thread_local std::vector<float> scratch;
      scratch.resize(std::max<std::size_t>(scratch.size(), static_cast<std::size_t>(plan->slots * kTile)));
      fill_scalars(*plan, sources, scratch.data());
      for (std::int64_t tile = first; tile < last; ++tile) {
        const std::int64_t begin = tile * kTile;
        run_tile(*plan, sources, outputs, scratch.data(), begin, std::min(kTile, n - begin));
      }
    });
    if (!padded(plan->shape, plan->layout)) return;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] != nullptr) clear_padding(plan->shape, plan->layout, outputs[i]);
    }
  };
}

/// Assembles the Plan of one step.
class Assembler {
 public:
  Assembler(Lowering& lowering, std::vector<NodeId> members)
      : l_(lowering), members_(std::move(members)), plan_(std::make_shared<Plan>()) {}

  void emit() {
    collect_inputs();
    plan_->shape = l_.shape(members_.back());
    plan_->layout = choose_layout(operands_, plan_->shape);
    plan_->physical = physical(plan_->shape, plan_->layout);
    for (NodeId id : inputs_) add_source(id);
    for (NodeId id : members_) add_instruction(id);
    assign_slots();
    Step step;
    for (NodeId id : members_) {
      step.name += (step.name.empty() ? "" : "+") + std::string(l_.node(id).op->name);
    }
    for (const Source& s : plan_->sources) {
      if (s.buffer >= 0) step.reads.push_back(s.buffer);
      if (s.kind == Source::Kind::direct) step.replaceable.push_back(s.buffer);
    }
    for (const Instruction& i : plan_->instructions) {
      if (i.output >= 0) step.writes.push_back(i.output);
    }
    step.bind = [plan = std::shared_ptr<const Plan>(plan_)](const Binding& binding) {
      return bind(plan, binding);
    };
    step.replaced_by = plan_->instructions.back().output;  // the last to be written: all reads are done
    l_.emit(std::move(step));
  }

 private:
  void collect_inputs() {
    for (NodeId id : members_) {
      for (NodeId input : l_.node(id).inputs) {
        if (std::ranges::binary_search(members_, input) || std::ranges::count(inputs_, input) != 0) continue;
        inputs_.push_back(input);
        if (l_.node(input).op != &kFill) operands_.push_back(l_.operand(input));
      }
    }
  }

  void add_source(NodeId id) {
    Source source;
    if (l_.node(id).op == &kFill) {
      source.kind = Source::Kind::scalar;
      source.value = static_cast<float>(l_.node(id).attributes.number("value", 0));
    } else if (l_.shape(id) == plan_->shape) {
      source.buffer = l_.operand(id, plan_->layout).buffer;
    } else if (l_.shape(id).elements() == 1) {
      source.kind = Source::Kind::scalar;
      source.buffer = l_.plain(id).buffer;
    } else {
      source.kind = Source::Kind::strided;
      source.buffer = padded_source(id);
      source.strides = broadcast_strides(l_.shape(id), plan_->shape, plan_->physical);
    }
    const bool direct = source.kind == Source::Kind::direct;
    plan_->source_slots.push_back(direct ? -1 : plan_->slots++);
    index_[id] = static_cast<int>(plan_->sources.size());
    plan_->sources.push_back(std::move(source));
  }

  /// A broadcast source, with room behind it for reads of channels that only the padding of the last block
  /// has.
  BufferId padded_source(NodeId id) {
    const Operand plain = l_.plain(id);
    if (!padded(plan_->shape, plan_->layout)) return plain.buffer;
    const std::size_t bytes = static_cast<std::size_t>(plain.shape.elements()) * sizeof(float);
    std::int64_t inner = 1;  // elements per channel of the source
    const int shift = plan_->shape.rank() - plain.shape.rank();
    for (int i = 2 - shift; i < plain.shape.rank(); ++i)
      inner *= plain.shape[static_cast<std::size_t>(std::max(i, 0))];
    const std::size_t more = static_cast<std::size_t>(plan_->layout.block * inner) * sizeof(float);
    const BufferId copy = l_.new_buffer(bytes + more);
    l_.emit({.name = "Extend",
             .reads = {plain.buffer},
             .writes = {copy},
             .bind = [=, from = plain.buffer](const Binding& b) {
               float* source = b.f32(from);
               float* target = b.f32(copy);
               return Action([=] {
                 std::memcpy(target, source, bytes);
                 std::memset(reinterpret_cast<char*>(target) + bytes, 0, more);
               });
             }});
    return copy;
  }

  void add_instruction(NodeId id) {
    const Node& node = l_.node(id);
    const Elementwise& elementwise = node.op->traits.elementwise;
    Instruction instruction;
    instruction.tile = elementwise.tile;
    if (elementwise.parameters != nullptr) instruction.parameters = elementwise.parameters(node.attributes);
    for (NodeId input : node.inputs) instruction.arguments.push_back(index_.at(input));
    index_[id] = static_cast<int>(plan_->sources.size() + plan_->instructions.size());
    if (needed_outside(id))
      instruction.output = l_.result(id, plan_->layout).buffer;
    else
      l_.mark_fused(id);
    plan_->instructions.push_back(std::move(instruction));
  }

  bool needed_outside(NodeId id) const {
    if (id == members_.back() || l_.is_output(id)) return true;
    const auto& users = l_.users()[static_cast<std::size_t>(id)];
    return std::ranges::any_of(users,
                               [&](NodeId user) { return !std::ranges::binary_search(members_, user); });
  }

  void assign_slots() {
    for (Instruction& instruction : plan_->instructions) {
      if (instruction.output < 0) instruction.slot = plan_->slots++;
    }
  }

  Lowering& l_;
  std::vector<NodeId> members_, inputs_;
  std::vector<Operand> operands_;
  std::map<NodeId, int> index_;
  std::shared_ptr<Plan> plan_;
};

}  // namespace

bool is_elementwise(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  return node.op->traits.elementwise.tile != nullptr && node.type.dtype != DType::i64 &&
         node.inputs.size() <= kMostOperands && std::ranges::none_of(node.inputs, [&](NodeId input) {
           return input == kNone || graph.node(input).type.dtype == DType::i64;
         });
}

namespace {

/// One step while what its members need from outside is computed, member by member.
struct Waiting {
  NodeId root;
  std::vector<NodeId> members;
  std::size_t member = 0, input = 0;  // what is looked at next
  bool pending = false;               // something was computed, members perhaps as well
};

/// The next input of the members that is not computed yet; kNone at the end.
NodeId next_pending(const Lowering& l, Waiting& w) {
  for (; w.member < w.members.size(); ++w.member, w.input = 0) {
    const auto& inputs = l.node(w.members[w.member]).inputs;
    while (w.input < inputs.size()) {
      const NodeId input = inputs[w.input++];
      if (!std::ranges::binary_search(w.members, input) && !l.has_result(input) && l.node(input).op != &kFill)
        return input;
    }
  }
  return kNone;
}

}  // namespace

/// With a stack of its own: chains of elementwise nodes may be as long as the network.
void emit_elementwise(Lowering& lowering, NodeId root) {
  std::vector<Waiting> stack{{root, collect(lowering, root)}};
  while (!stack.empty()) {
    Waiting& w = stack.back();
    if (const NodeId input = next_pending(lowering, w); input != kNone) {
      w.pending = true;
      if (is_elementwise(lowering.graph(), input)) {
        stack.push_back({input, collect(lowering, input)});
      } else {
        lowering.operand(input);
      }
    } else if (w.pending) {
      w = {w.root, collect(lowering, w.root)};
    } else {
      Assembler(lowering, std::move(w.members)).emit();
      stack.pop_back();
    }
  }
}

}  // namespace heatproof
