#include "engine/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "engine/lowering.h"
#include "engine/memory_plan.h"
#include "engine/states.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"

namespace heatproof {

struct ProgramImage {
  std::vector<Port> inputs, outputs;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  std::vector<BufferId> input_buffers, output_buffers;
  std::vector<StatePort> states;
  MemoryPlan plan;
  std::size_t constant_bytes = 0;
  dnnl::engine engine;
};

const std::vector<Port>& Program::inputs() const { return image_->inputs; }
const std::vector<Port>& Program::outputs() const { return image_->outputs; }
std::size_t Program::arena_bytes() const { return image_->plan.arena_bytes; }
std::size_t Program::constant_bytes() const { return image_->constant_bytes; }
std::size_t Program::steps() const { return image_->steps.size(); }
const std::vector<StatePort>& Program::states() const { return image_->states; }

namespace {

/// Frees constants that were needed only to compute other constants.
void drop_unused_constants(ProgramImage& image) {
  std::set<BufferId> used(image.output_buffers.begin(), image.output_buffers.end());
  for (const Step& step : image.steps) used.insert(step.reads.begin(), step.reads.end());
  std::set<const void*> counted;
  for (BufferId id = 0; id < static_cast<BufferId>(image.buffers.size()); ++id) {
    Buffer& buffer = image.buffers[static_cast<std::size_t>(id)];
    if (!used.contains(id)) {
      buffer.constant.reset();
    } else if (buffer.constant && counted.insert(buffer.constant.get()).second) {
      image.constant_bytes += buffer.bytes;
    }
  }
}

}  // namespace

Program compile(const Graph& graph, Convolutions convolutions) { return compile(graph, {}, convolutions); }

Program compile(const Graph& given, const std::vector<StatePort>& known_states, Convolutions convolutions) {
  const Graph graph = for_compiling(given);
  Lowering lowering(graph, known_states, convolutions);
  lowering.run();
  auto image = std::make_shared<ProgramImage>();
  for (NodeId id : graph.inputs()) image->inputs.push_back({graph.node(id).name, graph.node(id).type});
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    const Output& output = graph.outputs()[i];
    const BufferId buffer = lowering.output_buffers()[i];
    if (lowering.buffers()[static_cast<std::size_t>(buffer)].state >= 0) continue;  // stays where it is
    image->outputs.push_back({output.name, graph.node(output.id).type});
    image->output_buffers.push_back(buffer);
  }
  image->buffers = lowering.buffers();
  image->steps = lowering.steps();
  image->input_buffers = lowering.input_buffers();
  image->states = lowering.states();
  image->engine = lowering.engine();
  drop_unused_constants(*image);
  image->plan = plan_memory(image->buffers, image->steps, image->input_buffers, image->output_buffers);
  return Program(std::move(image));
}

struct Workspace::State : Binding {
  State(Program p, std::shared_ptr<States> kept)
      : program(std::move(p)), states(std::move(kept)), queue(program.image().engine) {
    if (!states) states = std::make_shared<States>(program.states());
    for (const StatePort& port : program.states()) state_memory.push_back(states->memory(port));
    const std::size_t bytes = std::max<std::size_t>((program.arena_bytes() + 63) / 64 * 64, 64);
    arena.reset(static_cast<char*>(std::aligned_alloc(64, bytes)));
    if (!arena) {
      throw Error(
          fmt::format("out of memory: {} bytes of working memory; use a smaller batch or --memory", bytes));
    }
    // Blocked layouts have padding that primitives expect to be zero.
    std::memset(arena.get(), 0, bytes);
    for (const Step& step : program.image().steps) actions.push_back(step.bind(*this));
  }

  void* pointer(BufferId id) const override {
    const auto i = static_cast<std::size_t>(id);
    const Buffer& buffer = program.image().buffers[i];
    if (buffer.constant) return buffer.constant.get();
    if (buffer.state >= 0) return state_memory[static_cast<std::size_t>(buffer.state)];
    return arena.get() + program.image().plan.offsets[i];
  }
  dnnl::stream stream() const override { return queue; }

  void load(std::span<const Tensor> inputs) {
    const ProgramImage& image = program.image();
    if (inputs.size() != image.inputs.size()) {
      throw Error(
          fmt::format("the program takes {} inputs, {} were given", image.inputs.size(), inputs.size()));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Type& type = image.inputs[i].type;
      if (inputs[i].dtype() != type.dtype || inputs[i].shape() != type.shape) {
        throw Error(fmt::format("input '{}' must be {} {}, it is {} {}", image.inputs[i].name,
                                to_string(type.dtype), to_string(type.shape), to_string(inputs[i].dtype()),
                                to_string(inputs[i].shape())));
      }
      void* to = pointer(image.input_buffers[i]);
      if (type.dtype == DType::boolean) {
        const auto* from = static_cast<const std::uint8_t*>(inputs[i].raw());
        for (std::int64_t k = 0; k < inputs[i].elements(); ++k)
          static_cast<float*>(to)[k] = from[k] != 0 ? 1.0F : 0.0F;
      } else {
        std::memcpy(to, inputs[i].raw(), inputs[i].bytes());
      }
    }
  }

  /// The steps that outputs need; steps that keep states are among them.
  const std::vector<std::size_t>& steps_for(std::span<const std::size_t> outputs) {
    const ProgramImage& image = program.image();
    auto [it, fresh] = steps_of.try_emplace({outputs.begin(), outputs.end()});
    if (!fresh) return it->second;
    std::vector<bool> needed;
    for (const Buffer& buffer : image.buffers) needed.push_back(buffer.state >= 0);
    for (std::size_t i : outputs) needed[static_cast<std::size_t>(image.output_buffers[i])] = true;
    for (std::size_t k = image.steps.size(); k-- > 0;) {
      const Step& step = image.steps[k];
      const auto is_needed = [&](BufferId id) { return needed[static_cast<std::size_t>(id)]; };
      if (std::ranges::none_of(step.writes, is_needed)) continue;
      for (BufferId id : step.reads) needed[static_cast<std::size_t>(id)] = true;
      it->second.push_back(k);
    }
    std::ranges::reverse(it->second);
    return it->second;
  }

  std::vector<Tensor> results() const {
    std::vector<std::size_t> all(program.image().outputs.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return results(all);
  }

  std::vector<Tensor> results(std::span<const std::size_t> wanted) const {
    const ProgramImage& image = program.image();
    std::vector<Tensor> outputs;
    for (std::size_t i : wanted) {
      const Type& type = image.outputs[i].type;
      Tensor tensor = Tensor::empty(type.dtype, type.shape);
      const void* from = pointer(image.output_buffers[i]);
      if (type.dtype == DType::boolean) {
        auto* to = static_cast<std::uint8_t*>(tensor.raw());
        for (std::int64_t k = 0; k < tensor.elements(); ++k) to[k] = static_cast<const float*>(from)[k] != 0;
      } else {
        std::memcpy(tensor.raw(), from, tensor.bytes());
      }
      outputs.push_back(std::move(tensor));
    }
    return outputs;
  }

  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  Program program;
  std::shared_ptr<States> states;
  std::vector<float*> state_memory;
  mutable dnnl::stream queue;
  std::unique_ptr<char, Free> arena;
  std::vector<Action> actions;
  std::map<std::vector<std::size_t>, std::vector<std::size_t>> steps_of;  // some outputs → their steps
};

Workspace::Workspace(Program program) : Workspace(std::move(program), nullptr) {}
Workspace::Workspace(Program program, std::shared_ptr<States> states)
    : state_(std::make_unique<State>(std::move(program), std::move(states))) {}
Workspace::~Workspace() = default;
Workspace::Workspace(Workspace&&) noexcept = default;
Workspace& Workspace::operator=(Workspace&&) noexcept = default;

const Program& Workspace::program() const { return state_->program; }

std::vector<Tensor> Workspace::run(std::span<const Tensor> inputs) {
  state_->load(inputs);
  run();
  return state_->results();
}

void* Workspace::input(std::size_t i) { return state_->pointer(program().image().input_buffers[i]); }

const void* Workspace::output(std::size_t i) const {
  return state_->pointer(program().image().output_buffers[i]);
}

void Workspace::run() {
  for (const Action& action : state_->actions) action();
  state_->queue.wait();
}

std::vector<Tensor> Workspace::run(std::span<const Tensor> inputs, std::span<const std::size_t> outputs) {
  state_->load(inputs);
  for (std::size_t step : state_->steps_for(outputs)) state_->actions[step]();
  state_->queue.wait();
  return state_->results(outputs);
}

std::vector<Tensor> Workspace::run(std::span<const Tensor> inputs, std::vector<StepTime>& times) {
  state_->load(inputs);
  run(times);
  return state_->results();
}

void Workspace::run(std::vector<StepTime>& times) {
  using Clock = std::chrono::steady_clock;
  times.clear();
  const auto& steps = state_->program.image().steps;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto start = Clock::now();
    state_->actions[i]();
    state_->queue.wait();
    times.push_back(
        {steps[i].name, std::chrono::duration<double>(Clock::now() - start).count(), steps[i].work});
  }
}

std::string dnnl_version_text() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

}  // namespace heatproof
