// heatproof bench: times of the forward pass and of an explanation, or of a metric.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "base/random.h"
#include "base/threads.h"
#include "cli/common.h"

namespace heatproof::cli {

namespace {

struct BenchFlags {
  ModelFlags model;
  std::string recipe = "lrp_epsilon_plus";
  std::string metric;
  std::int64_t repeats = 15;
  bool profile = false;
};

struct Timed {
  double compile_ms, median_ms;
  std::vector<StepTime> steps;
};

Timed measure(const Graph& graph, const std::vector<Tensor>& inputs, std::int64_t repeats) {
  using Clock = std::chrono::steady_clock;
  const auto milliseconds = [](Clock::time_point since) {
    return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
  };
  const auto start = Clock::now();
  Workspace workspace(compile(graph));
  Timed t{milliseconds(start), 0, {}};
  workspace.run(inputs);
  workspace.run(inputs);
  std::vector<double> times;
  for (std::int64_t i = 0; i < repeats; ++i) {
    const auto begin = Clock::now();
    workspace.run(inputs);
    times.push_back(milliseconds(begin));
  }
  std::ranges::sort(times);
  t.median_ms = times[times.size() / 2];
  workspace.run(inputs, t.steps);
  return t;
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

Tensor noise(Shape shape, std::uint64_t seed, std::int64_t batch) {
  shape[0] = batch;
  Tensor x = Tensor::empty(DType::f32, shape);
  RandomStream random(seed, {"bench"});
  for (float& v : x.data<float>()) v = static_cast<float>(random.normal());
  return x;
}

/// Time of a metric of `images` random images with random attributions, once everything is compiled.
void bench_metric(const GlobalFlags& global, const BenchFlags& f, const Session& session,
                  std::int64_t images) {
  using Clock = std::chrono::steady_clock;
  const MetricSpec metric = parse_metric(f.metric);
  const Tensor x = noise(session.network().input_shape(), global.seed, images);
  const Tensor relevance = noise(session.network().input_shape(), global.seed + 1, images);
  Evaluation e{.network = session.network(),
               .inputs = x,
               .targets = std::vector<std::int64_t>(static_cast<std::size_t>(images), 0),
               .relevance = relevance,
               .heatmap = pool_channels(relevance, Pool::sum),
               .logits = session.network().predict(x),
               .seed = global.seed};
  for (std::int64_t i = 0; i < images; ++i) e.ids.push_back(static_cast<std::uint64_t>(i));
  evaluate(metric, e);
  std::vector<double> times;
  for (std::int64_t i = 0; i < f.repeats; ++i) {
    const auto begin = Clock::now();
    evaluate(metric, e);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  std::ranges::sort(times);
  const double median = times[times.size() / 2];
  if (global.json) {
    print_json({{"metric_ms", median},
                {"metric", metric.text},
                {"images", images},
                {"threads", threads()},
                {"repeats", f.repeats}});
    return;
  }
  fmt::print("{:9.2f} ms   {} of {} images; {} threads; median of {} runs\n", median, metric.text, images,
             threads(), f.repeats);
}

void bench(const GlobalFlags& global, const BenchFlags& f) {
  const Session session(global, f.model);
  const std::int64_t batch = std::max<std::int64_t>(1, f.model.batch);
  if (!f.metric.empty()) return bench_metric(global, f, session, batch);
  Explainer explainer(session.network(), {parse_recipe(f.recipe)}, session.explain_options(global.seed));
  Shape shape = session.network().input_shape();
  shape[0] = batch;
  const Tensor x = noise(shape, global.seed, batch);
  Builder g;
  g.output("logits", forward_view(g, session.network().graph(batch), g.input("x", {DType::f32, shape}),
                                  f.model.output_name)
                         .logits);
  const Timed forward = measure(g.build(), {x}, f.repeats);
  const Tensor target = Tensor::zeros(DType::i64, {batch});
  const Timed explain = measure(explainer.graph(batch), {x, target}, f.repeats);
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
    print_profile("explain", explain.steps);
  }
}

}  // namespace

void add_bench(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<BenchFlags>();
  auto* command = app.add_subcommand("bench", "time of the forward pass and of an explanation, peak memory");
  add_model_flags(*command, f->model);
  command->add_option("--recipe", f->recipe, "what to explain with");
  command->add_option("--metric", f->metric, "time this metric of --batch random images instead");
  command->add_option("--repeats", f->repeats, "runs to take the median of")->check(CLI::Range(1, 10000));
  command->add_flag("--profile", f->profile, "list the slowest steps");
  command->callback([f, &global] { bench(global, *f); });
}

}  // namespace heatproof::cli
