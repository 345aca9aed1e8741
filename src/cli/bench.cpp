// heatproof bench: times of the forward pass and of an explanation.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "base/random.h"
#include "base/threads.h"
#include "cli/common.h"

namespace heatproof::cli {

namespace {

struct BenchFlags {
  ModelFlags model;
  std::string recipe = "lrp_epsilon_plus";
  std::int64_t repeats = 15;
  bool profile = false;
};

struct Timed {
  double compile_ms, median_ms;
  std::vector<StepTime> steps;
};

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

double median_ms(std::int64_t repeats, const std::function<void()>& run) {
  std::vector<double> times;
  for (std::int64_t i = 0; i < repeats; ++i) {
    const auto begin = Clock::now();
    run();
    times.push_back(milliseconds(begin));
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

Timed measure(const Graph& graph, const std::vector<Tensor>& inputs, std::int64_t repeats) {
  const auto start = Clock::now();
  Workspace workspace(compile(graph));
  Timed t{milliseconds(start), 0, {}};
  workspace.run(inputs);
  workspace.run(inputs);
  t.median_ms = median_ms(repeats, [&] { workspace.run(inputs); });
  workspace.run(inputs, t.steps);
  return t;
}

/// Estimators compile when they first explain; their steps are those of several programs.
Timed measure_estimator(Explainer& explainer, const Tensor& x, std::int64_t repeats) {
  const std::vector<std::int64_t> targets(static_cast<std::size_t>(x.shape()[0]), 0);
  const auto start = Clock::now();
  explainer.explain(x, targets);
  const double first = milliseconds(start);
  const double again = median_ms(repeats, [&] { explainer.explain(x, targets); });
  return {std::max(0.0, first - again), again, {}};
}

void print_profile(const std::string& title, std::vector<StepTime> steps) {
  double total = 0;
  for (const StepTime& s : steps) total += s.seconds;
  fmt::print("\n{}: {:.2f} ms in {} steps\n", title, 1000 * total, steps.size());
  std::ranges::stable_sort(steps, [](const StepTime& a, const StepTime& b) { return a.seconds > b.seconds; });
  for (std::size_t i = 0; i < std::min<std::size_t>(40, steps.size()); ++i) {
    fmt::print("  {:8.3f} ms  {:6.1f} GFLOP/s  {}\n", 1000 * steps[i].seconds,
               2e-9 * steps[i].work / steps[i].seconds, steps[i].name);
  }
}

void bench(const GlobalFlags& global, const BenchFlags& f) {
  const Session session(global, f.model);
  const std::int64_t batch = std::max<std::int64_t>(1, f.model.batch);
  Explainer explainer(session.network(), {parse_recipe(f.recipe)}, session.explain_options(global.seed));
  Shape shape = session.network().input_shape();
  shape[0] = batch;
  Tensor x = Tensor::empty(DType::f32, shape);
  RandomStream random(global.seed, {"bench"});
  for (float& v : x.data<float>()) v = static_cast<float>(random.normal());
  Builder g;
  g.output("logits", forward_view(g, session.network().graph(batch), g.input("x", {DType::f32, shape}),
                                  f.model.output_name)
                         .logits);
  const Timed forward = measure(g.build(), {x}, f.repeats);
  const Tensor target = Tensor::zeros(DType::i64, {batch});
  const Timed explain = explainer.recipes()[0].method->estimator != nullptr
                            ? measure_estimator(explainer, x, f.repeats)
                            : measure(explainer.graph(batch), {x, target}, f.repeats);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double rss = static_cast<double>(usage.ru_maxrss) / 1024;
  if (global.json) {
    print_json({{"forward_ms", forward.median_ms},
                {"explain_ms", explain.median_ms},
                {"batch", batch},
                {"threads", threads()},
                {"peak_rss_mb", rss},
                {"forward_compile_ms", forward.compile_ms},
                {"explain_compile_ms", explain.compile_ms},
                {"recipe", explainer.recipes()[0].text},
                {"repeats", f.repeats}});
    return;
  }
  fmt::print(
      "forward  {:9.2f} ms   (compiled in {:.0f} ms)\n{:<8} {:9.2f} ms   (compiled in {:.0f} ms; {:.2f} "
      "forward passes) {}\nbatch {}, {} threads, peak {:.0f} MB; medians of {} runs\n",
      forward.median_ms, forward.compile_ms, "explain", explain.median_ms, explain.compile_ms,
      explain.median_ms / forward.median_ms, explainer.recipes()[0].text, batch, threads(), rss, f.repeats);
  if (f.profile) {
    print_profile("forward", forward.steps);
    if (!explain.steps.empty()) print_profile("explain", explain.steps);
  }
}

}  // namespace

void add_bench(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<BenchFlags>();
  auto* command = app.add_subcommand("bench", "time of the forward pass and of an explanation, peak memory");
  add_model_flags(*command, f->model);
  command->add_option("--recipe", f->recipe, "what to explain with");
  command->add_option("--repeats", f->repeats, "runs to take the median of")->check(CLI::Range(1, 10000));
  command->add_flag("--profile", f->profile, "list the slowest steps");
  command->callback([f, &global] { bench(global, *f); });
}

}  // namespace heatproof::cli
