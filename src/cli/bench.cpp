// heatproof bench: times of the forward pass, of explanations and of metrics, and the memory that they take.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>

#include "base/random.h"
#include "base/threads.h"
#include "cli/common.h"
#include "cli/messages.h"

namespace heatproof::cli {

namespace {

struct BenchFlags {
  ModelFlags model;
  std::vector<std::string> recipes;
  std::string metric;
  std::int64_t repeats = 15;
  bool forward = false, separate = false, profile = false;
};

/// One compiled graph, or recipes that are more than a graph (then nothing is known but the time).
struct Timed {
  double compile_ms = 0, median_ms = 0;
  std::size_t arena_bytes = 0, constant_bytes = 0;
  std::vector<StepTime> steps;
};

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

/// After two runs that are not counted.
double median_ms(std::int64_t repeats, const std::function<void()>& work) {
  work();
  work();
  std::vector<double> times;
  for (std::int64_t i = 0; i < repeats; ++i) times.push_back(milliseconds(work));
  std::ranges::sort(times);
  return times[times.size() / 2];
}

Timed measure(const Network& network, const Graph& graph, const std::vector<Tensor>& inputs,
              const BenchFlags& f, Convolutions convolutions = Convolutions::direct) {
  Timed t;
  std::optional<Workspace> workspace;
  t.compile_ms = milliseconds([&] {
    const Program program = network.compile(graph, convolutions);
    t.arena_bytes = program.arena_bytes();
    t.constant_bytes = program.constant_bytes();
    workspace.emplace(program);
  });
  t.median_ms = median_ms(f.repeats, [&] { workspace->run(inputs); });
  if (f.profile) workspace->run(inputs, t.steps);
  return t;
}

/// All recipes at once. Recipes that are more than a graph (random numbers, many passes) run as users run
/// them; compiling them is part of the runs that are not counted.
Timed measure_recipes(const Session& session, const GlobalFlags& global, const std::vector<Recipe>& recipes,
                      const Tensor& x, const BenchFlags& f) {
  const std::int64_t batch = x.shape()[0];
  ExplainOptions options = session.explain_options(global.seed);
  options.batch = batch;
  Explainer explainer(session.network(), recipes, options);
  if (std::ranges::all_of(recipes, [](const Recipe& r) { return r.method->build != nullptr; }))
    return measure(session.network(), explainer.graph(batch), {x, Tensor::zeros(DType::i64, {batch})}, f);
  const std::vector<std::int64_t> targets(static_cast<std::size_t>(batch), 0);
  Timed t;
  t.median_ms = median_ms(f.repeats, [&] { explainer.explain(x, targets); });
  return t;
}

/// Scores alone may be computed by other convolutions than explanations; beside an explanation, its own
/// count.
Timed measure_forward(const Session& session, const Tensor& x, const BenchFlags& f) {
  Builder g;
  const Value input = g.input("x", {DType::f32, x.shape()});
  const Graph graph = session.network().graph(x.shape()[0]);
  g.output("logits", forward_view(g, graph, input, f.model.output_name).logits);
  return measure(session.network(), g.build(), {x}, f,
                 f.forward ? Convolutions::fastest : Convolutions::direct);
}

std::vector<Recipe> recipes_of(const BenchFlags& f) {
  std::vector<Recipe> recipes;
  if (f.forward) return recipes;
  for (const std::string& text :
       f.recipes.empty() ? std::vector<std::string>{"lrp_epsilon_plus"} : f.recipes) {
    for (Recipe& recipe : expand_recipes(text)) recipes.push_back(std::move(recipe));
  }
  return recipes;
}

Tensor noise(const Session& session, std::int64_t batch, std::uint64_t seed) {
  Shape shape = session.network().input_shape();
  shape[0] = batch;
  Tensor x = Tensor::empty(DType::f32, shape);
  RandomStream random(seed, {"bench"});
  for (float& v : x.data<float>()) v = static_cast<float>(random.normal());
  return x;
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void add_timed(nlohmann::json& json, const std::string& prefix, const Timed& t) {
  json[prefix + "_ms"] = t.median_ms;
  json[prefix + "_compile_ms"] = t.compile_ms;
  json[prefix + "_arena_bytes"] = t.arena_bytes;
  json[prefix + "_constant_bytes"] = t.constant_bytes;
}

void print_line(const std::string& title, const Timed& t, double forward_ms) {
  show(
      "{:<9}{:10.2f} ms  {:6.2f} forward passes  compiled in {:5.0f} ms  arena {:7.1f} MB  constants {:7.1f} "
      "MB\n",
      title, t.median_ms, t.median_ms / forward_ms, t.compile_ms,
      static_cast<double>(t.arena_bytes) / 1048576, static_cast<double>(t.constant_bytes) / 1048576);
}

void print_profile(const std::string& title, std::vector<StepTime> steps) {
  double total = 0;
  for (const StepTime& s : steps) total += s.seconds;
  show("\n{}: {:.2f} ms in {} steps\n", title, 1000 * total, steps.size());
  std::ranges::stable_sort(steps, [](const StepTime& a, const StepTime& b) { return a.seconds > b.seconds; });
  for (std::size_t i = 0; i < std::min<std::size_t>(40, steps.size()); ++i) {
    show("  {:8.3f} ms  {:6.1f} GFLOP/s  {}\n", 1000 * steps[i].seconds,
         2e-9 * steps[i].work / steps[i].seconds, steps[i].name);
  }
}

void print_separate(const std::vector<Recipe>& recipes, const std::vector<Timed>& separate, double together) {
  double sum = 0;
  show("\none by one:\n");
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    show("{:10.2f} ms  {}\n", separate[i].median_ms, recipes[i].text);
    sum += separate[i].median_ms;
  }
  show("{:10.2f} ms  sum; together {:.2f} of it\n", sum, together / sum);
}

nlohmann::json to_json(const Timed& forward, const std::vector<Recipe>& recipes, const Timed& explain,
                       const std::vector<Timed>& separate) {
  nlohmann::json json;
  add_timed(json, "forward", forward);
  if (recipes.empty()) return json;
  add_timed(json, "explain", explain);
  json["recipe"] = recipes[0].text;
  for (const Recipe& r : recipes) json["recipes"].push_back(r.text);
  for (const Timed& t : separate) json["separate_ms"].push_back(t.median_ms);
  return json;
}

/// Time of a metric of `images` random images with random attributions, once everything is compiled.
void bench_metric(const GlobalFlags& global, const BenchFlags& f, const Session& session,
                  std::int64_t images) {
  const MetricSpec metric = parse_metric(f.metric);
  const Tensor x = noise(session, images, global.seed);
  const Tensor relevance = noise(session, images, global.seed + 1);
  Evaluation e{.network = session.network(),
               .inputs = x,
               .targets = std::vector<std::int64_t>(static_cast<std::size_t>(images), 0),
               .relevance = relevance,
               .heatmap = pool_channels(relevance, Pool::sum),
               .logits = session.network().predict(x),
               .seed = global.seed};
  for (std::int64_t i = 0; i < images; ++i) e.ids.push_back(static_cast<std::uint64_t>(i));
  const double median = median_ms(f.repeats, [&] {
    session.network().forget_walks();
    evaluate(metric, e);
  });
  if (global.json) {
    print_json({{"metric_ms", median},
                {"metric", metric.text},
                {"images", images},
                {"threads", threads()},
                {"repeats", f.repeats}});
    return;
  }
  show("{:9.2f} ms   {} of {} images; {} threads; median of {} runs\n", median, metric.text, images,
       threads(), f.repeats);
}

void bench(const GlobalFlags& global, const BenchFlags& f) {
  const std::vector<Recipe> recipes = recipes_of(f);
  const Session session(global, f.model);
  const std::int64_t wanted = std::max<std::int64_t>(1, f.model.batch);
  if (!f.metric.empty()) return bench_metric(global, f, session, wanted);
  const std::int64_t batch = session.network().fit(wanted);
  const Tensor x = noise(session, batch, global.seed);
  const Timed forward = measure_forward(session, x, f);
  Timed explain;
  if (!recipes.empty()) explain = measure_recipes(session, global, recipes, x, f);
  const double rss = peak_rss_mb();
  std::vector<Timed> separate;
  if (f.separate) {
    for (const Recipe& recipe : recipes) separate.push_back(measure_recipes(session, global, {recipe}, x, f));
  }
  if (global.json) {
    nlohmann::json json = to_json(forward, recipes, explain, separate);
    json["batch"] = batch;
    json["threads"] = threads();
    json["repeats"] = f.repeats;
    json["peak_rss_mb"] = rss;
    json["onednn"] = dnnl_version_text();
    print_json(json);
    return;
  }
  print_line("forward", forward, forward.median_ms);
  if (!recipes.empty()) {
    print_line("explain", explain, forward.median_ms);
    std::vector<std::string> texts;
    for (const Recipe& r : recipes) texts.push_back(r.text);
    show("{}\n", fmt::join(texts, " "));
  }
  show("batch {}, {} threads, peak {:.0f} MB; medians of {} runs\n", batch, threads(), rss, f.repeats);
  if (!separate.empty()) print_separate(recipes, separate, explain.median_ms);
  if (f.profile) {
    print_profile("forward", forward.steps);
    if (!explain.steps.empty()) print_profile("explain", explain.steps);
  }
}

}  // namespace

void add_bench(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<BenchFlags>();
  auto* command = app.add_subcommand("bench", "time of the forward pass and of explanations, memory");
  add_model_flags(*command, f->model);
  auto* recipe = command->add_option(
      "--recipe", f->recipes, "what to explain with (lrp_epsilon_plus); a grid, or repeated: all at once");
  command->add_flag("--forward", f->forward, "time the forward pass only, by the fastest convolutions")
      ->excludes(recipe);
  command->add_flag("--separate", f->separate, "time every recipe on its own, too");
  command->add_option("--metric", f->metric, "time this metric of --batch random images instead");
  command->add_option("--repeats", f->repeats, "runs to take the median of")->check(CLI::Range(1, 10000));
  command->add_flag("--profile", f->profile, "list the slowest steps");
  command->callback([f, &global] { bench(global, *f); });
}

}  // namespace heatproof::cli
