// A compiled graph: steps over one planned arena of memory.
//
//   Program program = compile(graph);
//   Workspace workspace(program);
//   std::vector<Tensor> outputs = workspace.run({x});
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "heatproof/tensor.h"

namespace heatproof {

/// Version of the oneDNN that runs.
std::string dnnl_version_text();

class States;
struct StatePort;
struct ProgramImage;  // steps, constants and the memory plan

struct Port {
  std::string name;
  Type type;
};

/// Immutable; any number of Workspaces may run it at the same time.
class Program {
 public:
  Program() = default;
  explicit Program(std::shared_ptr<const ProgramImage> image) : image_(std::move(image)) {}

  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  /// Bytes of working memory per Workspace, and of packed weights and other constants.
  std::size_t arena_bytes() const;
  std::size_t constant_bytes() const;
  std::size_t steps() const;
  /// Values that outlive a run.
  const std::vector<StatePort>& states() const;
  const ProgramImage& image() const { return *image_; }

 private:
  std::shared_ptr<const ProgramImage> image_;
};

/// How convolutions are computed.
enum class Convolutions {
  /// Product by product: a window of zeros gives zero, and a huge value stays in its place. Rules that divide
  /// by what a layer computes, and derivatives of ReLUs at zero, need that.
  direct,
  /// 3×3 windows by Winograd's transforms (Lavin and Gray 2016): up to twice as fast, with errors of the same
  /// size, but spread over neighbours; smooth activations while results are in registers. For scores.
  fastest,
};

/// Plans and packs. Outputs that are states stay where they are; runs do not return them. Throws
/// UnsupportedError for operators that cannot be computed.
Program compile(const Graph& graph, Convolutions convolutions = Convolutions::direct);
/// The same, with states that a program which shares them has laid out already.
Program compile(const Graph& graph, const std::vector<StatePort>& known_states,
                Convolutions convolutions = Convolutions::direct);

struct StepTime {
  std::string name;
  double seconds;
  double work;  // multiply-adds, 0 where it does not apply
};

/// Working memory for one Program; used by one thread at a time.
class Workspace {
 public:
  explicit Workspace(Program program);
  /// For programs with states, whose memory several workspaces may share (run one at a time). Throws Error
  /// when `states` lacks one, or has it in another layout.
  Workspace(Program program, std::shared_ptr<States> states);
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  const Program& program() const;

  /// Inputs in the order of `Program::inputs()`. Throws Error when a type or shape is not the program's.
  std::vector<Tensor> run(std::span<const Tensor> inputs);
  std::vector<Tensor> run(std::initializer_list<Tensor> inputs) {
    return run(std::span<const Tensor>(inputs.begin(), inputs.size()));
  }
  /// Some of the outputs, by number: only the steps that they need are run.
  std::vector<Tensor> run(std::span<const Tensor> inputs, std::span<const std::size_t> outputs);
  /// The same, timing each step.
  std::vector<Tensor> run(std::span<const Tensor> inputs, std::vector<StepTime>& times);

  /// Without copies: inputs are filled in place before each run, outputs may be read until the next. Not for
  /// booleans.
  void* input(std::size_t i);
  const void* output(std::size_t i) const;
  void run();
  void run(std::vector<StepTime>& times);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace heatproof
