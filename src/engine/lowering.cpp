#include "engine/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_set>

#include "base/text.h"
#include "engine/elementwise.h"
#include "engine/packed_weights.h"
#include "graph/operator.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr int kDeepest = 1000;  // nodes that wait for one another while they are lowered

std::shared_ptr<void> allocate(std::size_t bytes) {
  const std::size_t size = std::max<std::size_t>((bytes + 63) / 64 * 64, 64);
  void* memory = std::aligned_alloc(64, size);
  if (memory == nullptr)
    throw Error(fmt::format("out of memory: {} bytes for a constant of the network", size));
  return {memory, std::free};
}

/// Binds steps that run at compile time: all their buffers are constants.
class ConstantBinding : public Binding {
 public:
  ConstantBinding(const std::vector<Buffer>& buffers, const dnnl::engine& engine)
      : buffers_(buffers), stream_(engine) {}
  void* pointer(BufferId id) const override { return buffers_[static_cast<std::size_t>(id)].constant.get(); }
  dnnl::stream stream() const override { return stream_; }

 private:
  const std::vector<Buffer>& buffers_;
  dnnl::stream stream_;
};

const dnnl::engine& shared_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

int code(Layout layout) { return layout.channels_last ? -1 : layout.block; }

std::size_t stored_bytes(const Node& node, Layout layout) {
  const std::size_t size = node.type.dtype == DType::i64 ? 8 : 4;
  return static_cast<std::size_t>(stored_elements(node.type.shape, layout)) * size;
}

/// Runs `f`, saying which node is meant, in our words, where it throws.
template <typename F>
void with_context(const Lowering& l, NodeId id, F&& f) {
  const Node& n = l.node(id);
  const auto where = [&](std::string_view what) {
    if (what.starts_with("node '")) return std::string(what);  // of an operand
    return fmt::format("node '{}' ({}): {}", n.name, n.op->name, what);
  };
  try {
    f();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw Error(where("out of memory; use a smaller batch or --memory"));
    std::string shapes;
    for (std::size_t i = 0; i < std::min<std::size_t>(n.inputs.size(), 3); ++i) {
      if (n.inputs[i] != kNone)
        shapes += fmt::format("{}{}", shapes.empty() ? "" : ", ", to_string(l.shape(n.inputs[i])));
    }
    const std::string attributes = to_string(n.attributes).substr(0, 150);
    throw UnsupportedError(where(
        fmt::format("oneDNN has no kernel for operands of shapes {}{}{}; export the model with other sizes",
                    shapes, attributes.empty() ? "" : " and ", attributes)));
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(where(e.what()));
  } catch (const InputError& e) {
    throw InputError(where(e.what()));
  } catch (const Error& e) {
    throw Error(where(e.what()), e.exit_code());
  }
}

}  // namespace

Lowering::Lowering(const Graph& graph, std::vector<StatePort> known_states, Convolutions convolutions)
    : graph_(graph),
      known_states_(std::move(known_states)),
      convolutions_(convolutions),
      engine_(shared_engine()),
      users_(graph.users()),
      is_output_(graph.nodes().size(), false),
      constant_(graph.nodes().size(), false),
      doubtful_(graph.nodes().size(), false),
      fused_(graph.nodes().size(), false),
      released_(graph.nodes().size(), false),
      read_by_(graph.nodes().size(), 0),
      results_(graph.nodes().size()) {
  for (const Output& output : graph.outputs()) is_output_[static_cast<std::size_t>(output.id)] = true;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& n = graph.node(id);
    constant_[static_cast<std::size_t>(id)] =
        !is_variable_leaf(n) &&
        std::ranges::all_of(n.inputs, [&](NodeId i) { return i == kNone || constant(i); });
    doubtful_[static_cast<std::size_t>(id)] =
        (n.op->undefined != nullptr && n.op->undefined(graph, n)) ||
        std::ranges::any_of(n.inputs, [&](NodeId i) { return i != kNone && doubtful(i); });
  }
}

NodeId Lowering::input(NodeId id, std::size_t i) const {
  const auto& inputs = node(id).inputs;
  return i < inputs.size() ? inputs[i] : kNone;
}

NodeId Lowering::sole_user(NodeId id) const {
  const auto& users = users_[static_cast<std::size_t>(id)];
  return users.size() == 1 && !is_output(id) ? users[0] : kNone;
}

bool Lowering::available(NodeId first) const {
  std::unordered_set<NodeId> seen{first};
  std::vector<NodeId> open{first};
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    if (has_result(id) || node(id).op == &kConstant || node(id).op == &kFill) continue;
    if (!is_elementwise(graph_, id)) return false;
    for (NodeId i : node(id).inputs) {
      if (i != kNone && seen.insert(i).second) open.push_back(i);
    }
  }
  return true;
}

BufferId Lowering::new_buffer(std::size_t bytes) {
  buffers_.push_back({.bytes = bytes});
  return static_cast<BufferId>(buffers_.size()) - 1;
}

BufferId Lowering::scratch(std::size_t bytes) { return new_buffer(bytes); }

void Lowering::hold(NodeId id, const Operand& value) {
  results_[static_cast<std::size_t>(id)] = value;
  ++buffers_[static_cast<std::size_t>(value.buffer)].holders;
}

bool Lowering::is_read(NodeId id) {
  // What is fused is read when the last of what it is fused with is computed. What was read stays read, so
  // that users are looked at once.
  const auto& users = users_[static_cast<std::size_t>(id)];
  std::size_t& at = read_by_[static_cast<std::size_t>(id)];
  while (at < users.size() && (has_result(users[at]) || (fused_[static_cast<std::size_t>(users[at])] &&
                                                         !is_output(users[at]) && is_read(users[at]))))
    ++at;
  return at == users.size();
}

void Lowering::release(NodeId first) {
  std::vector<NodeId> open{first};
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    if (id == kNone || !constant(id) || is_output(id) || !has_result(id) ||
        released_[static_cast<std::size_t>(id)] || !is_read(id))
      continue;
    released_[static_cast<std::size_t>(id)] = true;
    Buffer& buffer = buffers_[static_cast<std::size_t>(results_[static_cast<std::size_t>(id)].buffer)];
    if (--buffer.holders == 0 && !buffer.read) {
      buffer.constant.reset();
      buffer.released = true;
    }
    open.insert(open.end(), node(id).inputs.begin(), node(id).inputs.end());
  }
}

Operand Lowering::result(NodeId id, Layout layout) {
  const Operand operand{new_buffer(stored_bytes(node(id), layout)), shape(id), layout};
  hold(id, operand);
  return operand;
}

void Lowering::alias(NodeId id, const Operand& of) { hold(id, {of.buffer, shape(id), Layout{}}); }

void Lowering::share(NodeId id, const Operand& of) { hold(id, of); }

Operand Lowering::state(NodeId id, Layout wanted) {
  Operand& operand = results_[static_cast<std::size_t>(id)];
  if (operand.buffer >= 0) return operand;
  StatePort port{node(id).attributes.text("name", ""), shape(id), wanted};
  for (const StatePort& known : known_states_) {
    if (known.name != port.name) continue;
    if (known.shape != port.shape)
      throw Error(
          fmt::format("state '{}' is {}, not {}", port.name, to_string(known.shape), to_string(port.shape)));
    port.layout = known.layout;
  }
  operand = {new_buffer(port.bytes()), port.shape, port.layout};
  buffers_.back().state = static_cast<int>(states_.size());
  states_.push_back(std::move(port));
  return operand;
}

void Lowering::load_constant(NodeId id) {
  const Node& n = node(id);
  if (n.op == &kConstant && n.type.dtype != DType::boolean) {
    const BufferId buffer = new_buffer(n.constant.bytes());
    buffers_.back().constant = n.constant.storage();
    hold(id, {buffer, n.type.shape, Layout{}});
    return;
  }
  const Operand to = result(id, Layout{});
  Buffer& buffer = buffers_[static_cast<std::size_t>(to.buffer)];
  buffer.constant = allocate(buffer.bytes);
  float* values = static_cast<float*>(buffer.constant.get());
  if (n.op == &kFill) {
    std::fill_n(values, n.type.shape.elements(), static_cast<float>(n.attributes.number("value", 0)));
  } else {
    const auto* from = static_cast<const std::uint8_t*>(n.constant.raw());
    for (std::int64_t i = 0; i < n.type.shape.elements(); ++i) values[i] = from[i] != 0 ? 1.0F : 0.0F;
  }
}

Operand Lowering::operand(NodeId id) {
  if (!has_result(id)) {
    const Node& n = node(id);
    if (n.op == &kConstant || n.op == &kFill) {
      load_constant(id);
    } else if (n.op == &kState) {
      return state(id, Layout{});
    } else if (is_elementwise(graph_, id)) {
      emit_elementwise(*this, id);
    } else {
      lower(id);
    }
  }
  return results_[static_cast<std::size_t>(id)];
}

Operand Lowering::operand(NodeId id, Layout layout) {
  const Operand have = operand(id);
  if (have.layout == layout) return have;
  const auto key = std::pair(id, code(layout));
  if (auto it = reordered_.find(key); it != reordered_.end()) return it->second;
  return reordered_[key] = reorder(have, layout);
}

Operand Lowering::reorder(const Operand& from, Layout layout) {
  const std::size_t bytes = static_cast<std::size_t>(stored_elements(from.shape, layout)) * sizeof(float);
  const Operand to{new_buffer(bytes), from.shape, layout};
  const auto source = descriptor(from.shape, from.layout);
  const auto target = descriptor(from.shape, layout);
  const dnnl::reorder::primitive_desc pd(engine_, source, engine_, target, onednn::caller_scratchpad());
  emit(fmt::format("Reorder {} to {}", to_string(from.layout), to_string(layout)), dnnl::reorder(pd),
       {{DNNL_ARG_FROM, from.buffer, source, false}, {DNNL_ARG_TO, to.buffer, target, true}},
       pd.scratchpad_desc());
  return to;
}

Packed Lowering::pack(NodeId id, const Shape& view, const dnnl::memory::desc& desc) {
  return pack(id, descriptor(view, Layout{}), desc);
}

Packed Lowering::pack(NodeId id, const dnnl::memory::desc& source, const dnnl::memory::desc& desc,
                      const Packing& packing) {
  const Operand from = plain(id);
  if (desc == source) return {from.buffer, source};
  for (const auto& [seen_as, packed] : packed_[id]) {
    if (seen_as == source && packed.desc == desc) return packed;
  }
  const Packed to{new_buffer(desc.get_size()), desc};
  packed_[id].push_back({source, to});
  const auto weights =
      node(id).op == &kConstant ? buffers_[static_cast<std::size_t>(from.buffer)].constant : nullptr;
  if (weights) buffers_.back().constant = find_packed(weights, source, desc);
  if (buffers_.back().constant) return to;
  if (packing) {
    emit(packing({from.buffer, source}, to.buffer));
  } else {
    const dnnl::reorder::primitive_desc pd(engine_, source, engine_, desc, onednn::caller_scratchpad());
    emit("Pack", dnnl::reorder(pd),
         {{DNNL_ARG_FROM, from.buffer, source, false}, {DNNL_ARG_TO, to.buffer, desc, true}},
         pd.scratchpad_desc());
  }
  if (weights) remember_packed(weights, source, desc, buffers_[static_cast<std::size_t>(to.buffer)].constant);
  return to;
}

Step Lowering::primitive_step(std::string name, const dnnl::primitive& primitive,
                              std::vector<Argument> arguments, const dnnl::memory::desc& scratchpad,
                              double work) {
  Step step;
  step.name = std::move(name);
  step.work = work;
  if (scratchpad.get_size() > 0) {
    arguments.push_back({DNNL_ARG_SCRATCHPAD, scratch(scratchpad.get_size()), scratchpad, true});
  }
  for (const Argument& a : arguments) (a.written ? step.writes : step.reads).push_back(a.buffer);
  step.bind = [primitive, arguments = std::move(arguments), engine = engine_](const Binding& bind) -> Action {
    std::unordered_map<int, dnnl::memory> bound;
    for (const Argument& a : arguments)
      bound.emplace(a.index, dnnl::memory(a.desc, engine, bind.pointer(a.buffer)));
    return
        [primitive, stream = bind.stream(), bound = std::move(bound)] { primitive.execute(stream, bound); };
  };
  return step;
}

void Lowering::emit(std::string name, const dnnl::primitive& primitive, std::vector<Argument> arguments,
                    const dnnl::memory::desc& scratchpad, double work) {
  emit(primitive_step(std::move(name), primitive, std::move(arguments), scratchpad, work));
}

void Lowering::emit(Step step) {
  const auto known = [&](BufferId id) { return buffers_[static_cast<std::size_t>(id)].constant != nullptr; };
  // A buffer has one writer: a constant one would lose what an earlier step wrote, or be shared by all
  // workspaces.
  if (std::ranges::any_of(step.writes, known))
    throw Error(step.name + " writes to what is known at compile time");
  if (std::ranges::any_of(step.reads,
                          [&](BufferId id) { return buffers_[static_cast<std::size_t>(id)].released; }))
    throw Error(step.name + " reads a constant that has been released");
  if (!std::ranges::all_of(step.reads, known)) {
    for (BufferId id : step.reads) buffers_[static_cast<std::size_t>(id)].read = true;
    steps_.push_back(std::move(step));
    return;
  }
  for (BufferId id : step.writes) {
    Buffer& buffer = buffers_[static_cast<std::size_t>(id)];
    buffer.constant = allocate(buffer.bytes);
  }
  ConstantBinding binding(buffers_, engine_);
  step.bind(binding)();
  binding.stream().wait();
}

void Lowering::lower(NodeId id) {
  const Node& n = node(id);
  if (n.op->lower == nullptr) {
    throw UnsupportedError(
        fmt::format("node '{}' ({}): the engine cannot compute it at run time", n.name, n.op->name));
  }
  // Only constants are computed when they are asked for, one from another.
  if (++depth_ > kDeepest)
    throw UnsupportedError(fmt::format(
        "node '{}' ({}): more than {} constants are computed one from another; simplify the model "
        "(onnxsim) so that they are known",
        abbreviated(n.name), n.op->name, kDeepest));
  with_context(*this, id, [&] { n.op->lower(*this, id); });
  lowered_.push_back(id);
  if (!has_result(id) && !fused_[static_cast<std::size_t>(id)])
    throw Error(fmt::format("operator {} emitted no result", n.op->name));
  // A node may declare its result before it reads its operands.
  if (--depth_ > 0) return;
  for (NodeId done : lowered_) {
    for (NodeId input : node(done).inputs) release(input);
  }
  lowered_.clear();
}

void Lowering::run() {
  for (NodeId id : graph_.inputs()) input_buffers_.push_back(result(id, Layout{}).buffer);
  for (NodeId id = 0; id < graph_.size(); ++id) {
    const Node& n = node(id);
    // Leaves and elementwise nodes wait until they are asked for, so that chains are emitted as one step, and
    // constants, which may be packed from another's memory.
    if (has_result(id) || fused_[static_cast<std::size_t>(id)] || constant(id) || n.op == &kState ||
        is_elementwise(graph_, id))
      continue;
    lower(id);
  }
  for (const Output& output : graph_.outputs()) {
    const BufferId buffer = operand(output.id).buffer;
    const bool state = buffers_[static_cast<std::size_t>(buffer)].state >= 0;
    output_buffers_.push_back(state ? buffer : plain(output.id).buffer);
  }
}

}  // namespace heatproof
