// heatproof check: the axioms on the user's own network, with figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cli/check_axioms.h"
#include "cli/check_print.h"
#include "cli/common.h"
#include "cli/selection_report.h"
#include "explain/equivalents.h"
#include "heatproof/error.h"
#include "report/check_report.h"
#include "select/space.h"
#include "select/statistics.h"
#include "validate/features.h"
#include "validate/metric.h"
#include "validate/motion.h"

namespace heatproof::cli {

namespace {

constexpr std::int64_t kFrames = 12;

struct CheckFlags {
  ModelFlags model;
  std::string input, recipe, target = "auto", out, masks, motion = "translation";
  std::int64_t limit = 0;  // images; 0: all
  bool frames = false;
  std::vector<std::string> metrics;  // empty: the axioms
};

/// An explanation of all inputs with everything that axioms look at.
struct Subject {
  Recipe recipe;
  Explainer explainer;
  Evaluation evaluation;

  Subject(const Recipe& r, const Session& session, const ExplainOptions& options, const InputSet& set)
      : recipe(r), explainer(session.network(), {r}, options), evaluation{.network = session.network()} {
    evaluation.inputs = set.inputs;
    evaluation.masks = set.masks;
    evaluation.logits = session.network().predict(set.inputs);
    evaluation.black = session.black();
    evaluation.white = session.white();
    evaluation.seed = options.seed;
    evaluation.ids = sample_ids(set);
    evaluation.explain = [this](const Tensor& x, auto t, auto ids) {
      return explainer.explain(x, t, ids).relevance[0];
    };
    evaluation.explain_on = explain_on(r, options);
  }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  void explain(const std::vector<std::int64_t>& targets) {
    evaluation.targets = targets;
    evaluation.relevance = evaluation.explain(evaluation.inputs, targets, evaluation.ids);
    evaluation.heatmap = pool_channels(evaluation.relevance, pool_of(recipe));
  }
};

/// What was measured, and what could not be.
struct Findings {
  std::vector<Axiom> axioms;
  std::vector<LeftOut> left_out;
};

/// control: null where the recipe is the control itself.
Findings measure_all(const CheckFlags& f, const Evaluation& e, const Evaluation* control) {
  Findings found;
  if (!f.metrics.empty()) {
    for (const std::string& text : f.metrics)
      found.axioms.push_back(measure(row_of_metric(text), e, control));
    return found;
  }
  std::vector<AxiomRow> rows = axioms_of(e, found.left_out);
  for (const Equivalent& rewrite : equivalents())
    rows.push_back(row_of_metric("implementation_invariance:rewrite=" + rewrite.name));
  for (const AxiomRow& row : rows) {
    try {
      found.axioms.push_back(measure(row, e, control));
    } catch (const UsageError& error) {  // such as a network without a bias to shift
      found.left_out.push_back({row.metric, error.what()});
    }
  }
  return found;
}

std::vector<report::LedgerRow> rows_of(const std::vector<LedgerLine>& ledger) {
  std::vector<report::LedgerRow> rows;
  for (const LedgerLine& line : ledger)
    rows.push_back({line.node, line.op, line.rule, mean_of(line.entering), mean_of(line.leaving),
                    mean_of(line.absorbed), 0 - mean_of(line.stabilized)});
  return rows;
}

/// A network's input as a photo, in the order of colours that the network takes.
report::Picture photo_of(const Session& session, std::span<const float> x) {
  const Shape& s = session.network().input_shape();
  std::vector<float> planes(x.begin(), x.end());
  std::vector<double> black = session.black();
  std::vector<double> white = session.white();
  if (session.preprocessing().channels == "bgr" && s[1] == 3) {
    const auto pixels = static_cast<std::ptrdiff_t>(s[2] * s[3]);
    std::swap_ranges(planes.begin(), planes.begin() + pixels, planes.begin() + 2 * pixels);
    std::ranges::reverse(black);
    std::ranges::reverse(white);
  }
  return report::draw_input(planes, static_cast<int>(s[1]), static_cast<int>(s[2]), static_cast<int>(s[3]),
                            black, white);
}

/// The first input as it moves, or all inputs as the frames of a video, with their heatmaps.
void add_frames(report::CheckReport& r, const Subject& subject, const Session& session, const CheckFlags& f) {
  const Evaluation& e = subject.evaluation;
  const Shape& s = e.inputs.shape();
  if (s.rank() != 4) return;
  Tensor x = e.inputs;
  Tensor relevance = e.relevance;
  if (!f.frames) {
    Shape shape = s;
    shape[0] = kFrames;
    x = Tensor::empty(DType::f32, shape);
    for (std::int64_t k = 0; k < kFrames; ++k)
      move_image(f.motion, row_of(e.inputs, 0), s, e.black, k, row_of(x, k));
    const std::vector<std::int64_t> targets(kFrames, e.targets[0]);
    const std::vector<std::uint64_t> ids(kFrames, e.ids[0]);
    relevance = e.explain(x, targets, ids);
  }
  const Tensor maps = pool_channels(relevance, pool_of(subject.recipe));
  const auto row = [](const Tensor& t, std::int64_t i) { return row_of(t, i); };
  for (std::int64_t k = 0; k < x.shape()[0]; ++k) {
    std::string caption = fmt::format("frame {}", k + 1);
    if (k > 0) {
      r.changes.push_back(
          change_per_distance(row(relevance, k - 1), row(relevance, k), row(x, k - 1), row(x, k)));
      caption += fmt::format(": change of relevance per change of the input {}",
                             report::number(r.changes.back(), 3));
    }
    r.frames.push_back({{photo_of(session, row(x, k)),
                         report::draw_heatmap(row(maps, k), static_cast<int>(s[2]), static_cast<int>(s[3]))},
                        caption});
  }
}

report::Estimate estimate(const Interval& i) { return {i.mean, i.low, i.high}; }

void add_measured(report::CheckReport& r, const Axiom& a) {
  if (a.metric.text == "pixel_flipping") r.gain = estimate(a.interval), r.uniform_gain = a.uniform;
  const report::Measured measured{estimate(a.interval), a.least, a.most};
  if (a.metric.metric->name == "implementation_invariance") {
    const Equivalent& rewrite = find_equivalent(a.metric.parameters.text("rewrite"));
    r.rewrites.push_back({rewrite.name, rewrite.about, measured, a.uniform, to_string(a.coverage)});
    return;
  }
  r.axioms.push_back({a.text.group, a.text.about, a.metric.text, a.text.reading, to_string(a.metric.better()),
                      measured, a.uniform, estimate(a.over_uniform)});
}

/// "name: class", of the first few.
std::string targets_text(const Session& session, const InputSet& set,
                         const std::vector<std::int64_t>& targets) {
  constexpr std::size_t kNamed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, targets.size()); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", set.items[i].name, session.labels().name(targets[i]));
  return targets.size() > kNamed ? text + fmt::format(" and {} more", targets.size() - kNamed) : text;
}

report::CheckReport describe(const Session& session, const Subject& subject, const InputSet& set,
                             const Findings& found, const std::vector<report::LedgerRow>& ledger,
                             const GlobalFlags& global, const CheckFlags& f) {
  report::CheckReport r;
  const Evaluation& e = subject.evaluation;
  r.model = std::filesystem::path(session.model().path()).filename().string();
  r.recipe = subject.recipe.text;
  r.images = static_cast<std::size_t>(e.size());
  r.conservation = mean_of(evaluate(parse_metric("conservation"), e).values);
  for (const Axiom& a : found.axioms) add_measured(r, a);
  for (const LeftOut& l : found.left_out) r.left_out.emplace_back(l.metric, l.reason);
  r.unprepared = !set.rgb.empty() && !session.has_box();
  r.ledger = ledger;
  r.path = f.frames ? "the frames" : f.motion;
  add_frames(r, subject, session, f);
  r.facts = {{"model", r.model},
             {"SHA-256 of the model", session.model().hash()},
             {"inputs", fmt::format("{} of shape {}", r.images, to_string(session.network().input_shape()))},
             {"preprocessing", preprocessing_text(session, set)},
             {f.target == "auto" ? "predicted class, which is explained" : "explained class",
              targets_text(session, set, e.targets)},
             {"intervals", report::intervals_over(r.images)},
             {"seed", std::to_string(global.seed)},
             {"command", global.command},
             {"heatproof", HEATPROOF_VERSION}};
  return r;
}

/// Refuses what cannot be measured before anything is.
void validate(const CheckFlags& f) {
  if (std::ranges::find(motion_names(), f.motion) == motion_names().end())
    throw UsageError(fmt::format("--motion {}: use translation, rotation or brightness", f.motion));
  for (const std::string& text : f.metrics) parse_metric(text);
}

/// The inputs with their masks.
InputSet load(const Session& session, const CheckFlags& f) {
  InputSet set = session.load(f.input, f.limit);
  if (f.frames && set.size() < 2)
    throw UsageError(fmt::format(
        "--frames: {} gives one image, and a video needs at least two; give the folder of its frames",
        f.input));
  const auto needs = std::ranges::find_if(
      f.metrics, [](const std::string& text) { return parse_metric(text).metric->needs_masks; });
  if (needs != f.metrics.end() || !f.masks.empty() || f.metrics.empty())
    take_masks(set, f.input, f.masks, session, needs != f.metrics.end() ? *needs : "");
  return set;
}

void check_command(const GlobalFlags& global, const CheckFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  validate(f);
  const Session session(global, f.model);
  const InputSet set = load(session, f);
  ExplainOptions options = session.explain_options(global.seed);
  Subject subject(recipe, session, options, set);
  Subject uniform(parse_recipe("uniform"), session, options, set);
  std::vector<std::int64_t> targets = session.targets(f.target, subject.evaluation.logits);
  if (f.frames && f.target == "auto") std::ranges::fill(targets, targets[0]);  // one object through the video
  subject.explain(targets);
  uniform.explain(targets);
  options.ledger = true;
  const auto ledger = Explainer(session.network(), {recipe}, options)
                          .explain(set.inputs, targets, subject.evaluation.ids)
                          .ledger[0];
  const bool is_control = recipe.method->name == "uniform";
  const Findings found = measure_all(f, subject.evaluation, is_control ? nullptr : &uniform.evaluation);
  if (!f.out.empty()) {
    const auto page = std::filesystem::path(f.out) / "check.html";
    write_file(page, report::render(describe(session, subject, set, found, rows_of(ledger), global, f)));
    if (!global.quiet && !global.json) fmt::print("page {}\n\n", page.string());
  }
  if (global.json)
    print_check_json(recipe, subject.evaluation, found.axioms, found.left_out, ledger, f.frames);
  else if (!global.quiet)
    print_check_text(recipe, set.items.size(), found.axioms, found.left_out, rows_of(ledger));
}

}  // namespace

void add_check(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<CheckFlags>();
  auto* command = app.add_subcommand("check", "the axioms on your network, with figures");
  add_model_flags(*command, f->model);
  command->add_option("INPUT", f->input, "an image, a folder, or .npy/.npz")->required();
  command->add_option("--recipe", f->recipe, "name:key=value,..., or a recipe.toml")->required();
  command->add_option("--metric", f->metrics, "what to measure; may be repeated");
  command->add_option("--masks", f->masks,
                      "masks of the true evidence: a folder, or .npy [N, H, W]; else NAME.mask.png or masks/ "
                      "beside the images");
  command->add_option("--limit", f->limit, "measure only the first so many images; 0: all")
      ->check(CLI::Range(0, 1000000000));
  command->add_option("--target", f->target,
                      "auto (the predicted class), an index, a label, or a .npy of indices");
  command->add_option("--out", f->out, "folder for check.html, with charts and an animation");
  command->add_option("--motion", f->motion, "what the animation shows: translation, rotation or brightness");
  command->add_flag("--frames", f->frames,
                    "the inputs are the frames of a video, in the order of their names");
  command->callback([f, &global] { check_command(global, *f); });
}

}  // namespace heatproof::cli
