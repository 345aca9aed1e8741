// How operators become the steps of a Program. An operator's `lower` asks for its operands in the layouts
// that suit it, declares its result, and emits one or more steps:
//
//   void lower_softmax(Lowering& l, NodeId id) {
//     Operand x = l.plain(l.input(id, 0));
//     Operand y = l.result(id, Layout{});
//     l.emit({.name = "Softmax", .reads = {x.buffer}, .writes = {y.buffer}, .bind = [=](const Binding& bind)
//     {
//       const float* from = bind.f32(x.buffer);
//       float* to = bind.f32(y.buffer);
//       return [=] { ... };
//     }});
//   }
//
// Steps whose operands are all constant run at once, at compile time: constant folding with the same kernels.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/layout.h"
#include "engine/program.h"
#include "engine/states.h"
#include "graph/graph.h"

namespace heatproof {

using BufferId = int;

/// A value in memory. Booleans are stored as f32, 0 or 1; i64 always plain.
struct Operand {
  BufferId buffer = -1;
  Shape shape;
  Layout layout;
};

/// Weights in the layout that a primitive asked for.
struct Packed {
  BufferId buffer = -1;
  dnnl::memory::desc desc;
};

/// Resolves buffers to memory when a step is bound to a Workspace.
class Binding {
 public:
  virtual ~Binding() = default;
  virtual void* pointer(BufferId id) const = 0;
  virtual dnnl::stream stream() const = 0;

  float* f32(BufferId id) const { return static_cast<float*>(pointer(id)); }
  std::int64_t* i64(BufferId id) const { return static_cast<std::int64_t*>(pointer(id)); }
};

using Action = std::function<void()>;

struct Step {
  std::string name = {};        // for listings and profiles
  std::vector<BufferId> reads;  // memory that must be ready before
  std::vector<BufferId> writes;
  std::function<Action(const Binding&)> bind;  // called once per Workspace; the Action is called at every run
  /// The memory of one of `replaceable` may become that of `replaced_by` when it is not needed afterwards.
  std::vector<BufferId> replaceable = {};
  BufferId replaced_by = -1;
  double work = 0;  // multiply-adds, for reports
};

struct Buffer {
  std::size_t bytes = 0;
  std::shared_ptr<void> constant;  // the memory of constants, known at compile time
  int holders = 0;                 // nodes whose value it is
  bool read = false;               // by a step that is run later
  bool released = false;           // a constant that nothing will read any more
  int state = -1;                  // of Lowering::states(): memory that outlives the run
};

/// What the compiler knows while it walks the graph.
class Lowering {
 public:
  /// `known_states` have layouts already, from a program that shares them.
  explicit Lowering(const Graph& graph, std::vector<StatePort> known_states = {},
                    Convolutions convolutions = Convolutions::direct);

  // The graph.
  const Node& node(NodeId id) const { return graph_.node(id); }
  NodeId input(NodeId id, std::size_t i) const;  // kNone where it is absent
  const Shape& shape(NodeId id) const { return graph_.node(id).type.shape; }
  /// The only user of a node that is not an output of the graph; kNone otherwise. For fusing what follows.
  NodeId sole_user(NodeId id) const;
  /// Whether the value may hold NaN though the inputs are finite (`Operator::undefined`): primitives of
  /// oneDNN that end in max(x, 0) would hide it.
  bool doubtful(NodeId id) const { return doubtful_[static_cast<std::size_t>(id)]; }
  /// Whether the value has been computed (or can be now, without waiting for later nodes).
  bool available(NodeId id) const;
  /// Whether the node depends on no input: its value is known at compile time.
  bool constant(NodeId id) const { return constant_[static_cast<std::size_t>(id)]; }

  // Operands.
  /// In whatever layout it has; emits pending elementwise steps.
  Operand operand(NodeId id);
  /// In the given layout, reordered where needed (once, however often it is asked for).
  Operand operand(NodeId id, Layout layout);
  Operand plain(NodeId id) { return operand(id, Layout{}); }
  /// Reordered to what a primitive asked for; `view` is the shape under which the primitive sees it (same
  /// row-major order).
  Packed pack(NodeId id, const Shape& view, const dnnl::memory::desc& desc);
  /// The same of memory that is seen with the strides of `source`, by a reorder or a step of the operator's
  /// own.
  using Packing = std::function<Step(const Packed& from, BufferId to)>;
  Packed pack(NodeId id, const dnnl::memory::desc& source, const dnnl::memory::desc& desc,
              const Packing& packing = {});

  // Results.
  /// New memory for the result of a node.
  Operand result(NodeId id, Layout layout);
  /// The result of a node is the memory of another operand under the node's own shape (Reshape).
  void alias(NodeId id, const Operand& of);
  /// The result of a node is the memory of an operand, in the operand's layout.
  void share(NodeId id, const Operand& of);
  /// The memory of a State, in the wanted layout unless it has one already.
  Operand state(NodeId id, Layout wanted);
  /// A node that never gets a value of its own, since a step computes what follows it at once.
  void mark_fused(NodeId id) { fused_[static_cast<std::size_t>(id)] = true; }
  /// Working memory of a step; list it among the step's writes.
  BufferId scratch(std::size_t bytes);
  void emit(Step step);
  /// A oneDNN primitive as a step; arguments are (DNNL_ARG_..., buffer, descriptor, written?).
  struct Argument {
    int index;
    BufferId buffer;
    dnnl::memory::desc desc;
    bool written = false;
  };
  void emit(std::string name, const dnnl::primitive& primitive, std::vector<Argument> arguments,
            const dnnl::memory::desc& scratchpad, double work = 0);
  /// The same without emitting it, for steps that do more.
  Step primitive_step(std::string name, const dnnl::primitive& primitive, std::vector<Argument> arguments,
                      const dnnl::memory::desc& scratchpad, double work);

  const dnnl::engine& engine() const { return engine_; }
  Convolutions convolutions() const { return convolutions_; }

  // For the compiler.
  void run();  // lowers every node and the outputs
  const Graph& graph() const { return graph_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<StatePort>& states() const { return states_; }
  bool has_result(NodeId id) const { return results_[static_cast<std::size_t>(id)].buffer >= 0; }
  /// Whether the steps that compute a node, alone or with what follows it, have been emitted.
  bool is_lowered(NodeId id) const { return has_result(id) || fused_[static_cast<std::size_t>(id)]; }
  BufferId new_buffer(std::size_t bytes);
  const std::vector<std::vector<NodeId>>& users() const { return users_; }
  bool is_output(NodeId id) const { return is_output_[static_cast<std::size_t>(id)]; }
  const std::vector<BufferId>& input_buffers() const { return input_buffers_; }
  const std::vector<BufferId>& output_buffers() const { return output_buffers_; }

 private:
  void lower(NodeId id);
  void load_constant(NodeId id);
  void hold(NodeId id, const Operand& value);
  /// Whether all that reads the value has been emitted, once no node is being lowered.
  bool is_read(NodeId id);
  /// Frees what was known at compile time only to compute other constants, once they are all known.
  void release(NodeId id);
  Operand reorder(const Operand& from, Layout layout);

  const Graph& graph_;
  std::vector<StatePort> known_states_, states_;
  Convolutions convolutions_;
  dnnl::engine engine_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> is_output_, constant_, doubtful_, fused_, released_;
  std::vector<std::size_t> read_by_;  // users that are known to have read a value
  std::vector<Operand> results_;
  int depth_ = 0;                                        // of nodes that are being lowered
  std::vector<NodeId> lowered_;                          // since the outermost began
  std::map<std::pair<NodeId, int>, Operand> reordered_;  // (node, layout code)
  struct PackedFrom {
    dnnl::memory::desc source;
    Packed packed;
  };
  std::map<NodeId, std::vector<PackedFrom>> packed_;
  std::vector<Buffer> buffers_;
  std::vector<Step> steps_;
  std::vector<BufferId> input_buffers_, output_buffers_;
};

}  // namespace heatproof
