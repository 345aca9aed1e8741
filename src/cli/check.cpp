// heatproof check: the axioms on the user's own network, with figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cli/check_axioms.h"
#include "cli/check_print.h"
#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/messages.h"
#include "cli/outputs.h"
#include "cli/rule_notes.h"
#include "cli/score_notes.h"
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

/// An explanation of some inputs with everything that axioms look at.
struct Subject {
  Recipe recipe;
  Explainer explainer;
  Evaluation evaluation;

  Subject(const Recipe& r, const Session& session, const ExplainOptions& options)
      : recipe(r), explainer(session.network(), {r}, options), evaluation{.network = session.network()} {
    evaluation.black = session.black();
    evaluation.white = session.white();
    evaluation.seed = options.seed;
    evaluation.explain = [this](const Tensor& x, auto t, auto ids) {
      return explainer.explain(x, t, ids).relevance[0];
    };
    evaluation.explain_on = explain_on(r, session.explain_options(options.seed));
  }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  void explain(const InputSet& set, const Tensor& logits, const std::vector<std::int64_t>& targets) {
    evaluation.inputs = set.inputs;
    evaluation.masks = set.masks;
    evaluation.logits = logits;
    evaluation.ids = sample_ids(set.items);
    evaluation.targets = targets;
    evaluation.relevance = evaluation.explain(evaluation.inputs, targets, evaluation.ids);
    evaluation.heatmap = pool_channels(evaluation.relevance, pool_of(recipe));
  }
};

std::vector<report::LedgerRow> rows_of(const std::vector<LedgerLine>& ledger) {
  std::vector<report::LedgerRow> rows;
  for (const LedgerLine& line : ledger)
    rows.push_back({line.node, line.op, line.rule, mean_of(line.entering), mean_of(line.leaving),
                    mean_of(line.absorbed), 0 - mean_of(line.stabilized)});
  return rows;
}

/// How relevance changes along a path, and pictures of it.
struct Film {
  std::vector<double> changes;  // of relevance per change of the input, from each frame to the next
  std::vector<report::Frame> frames;
  Tensor last, last_relevance;

  /// draw: pictures, too.
  void add(const Session& session, const Recipe& recipe, const Tensor& x, const Tensor& relevance,
           bool draw) {
    const Shape& s = x.shape();
    const Tensor maps = draw ? pool_channels(relevance, pool_of(recipe)) : Tensor();
    const auto row = [](const Tensor& t, std::int64_t i) { return row_of(t, i); };
    for (std::int64_t k = 0; k < s[0]; ++k) {
      std::string caption = fmt::format("frame {}", changes.size() + (last.defined() ? 2 : 1));
      if (last.defined()) {
        changes.push_back(
            change_per_distance(row(last_relevance, 0), row(relevance, k), row(last, 0), row(x, k)));
        caption += fmt::format(": change of relevance per change of the input {}",
                               report::number(changes.back(), 3));
      }
      last = x.rows(k, k + 1);
      last_relevance = relevance.rows(k, k + 1);
      if (!draw) continue;
      frames.push_back({{drawn(session, row(x, k), session.black(), session.white()),
                         report::draw_heatmap(row(maps, k), static_cast<int>(s[2]), static_cast<int>(s[3]))},
                        caption});
    }
  }
};

/// The first input as it moves.
Film moving(const Session& session, Subject& subject, const Tensor& first, std::int64_t target,
            std::uint64_t id, const std::string& motion) {
  Shape shape = first.shape();
  shape[0] = kFrames;
  Tensor x = Tensor::empty(DType::f32, shape);
  for (std::int64_t k = 0; k < kFrames; ++k)
    move_image(motion, row_of(first, 0), first.shape(), subject.evaluation.black, k, row_of(x, k));
  const std::vector<std::int64_t> targets(kFrames, target);
  const std::vector<std::uint64_t> ids(kFrames, id);
  Film film;
  film.add(session, subject.recipe, x, subject.evaluation.explain(x, targets, ids), true);
  return film;
}

/// What was measured, and what could not be.
struct Findings {
  std::vector<RowScores> rows;
  std::vector<Axiom> axioms;
  std::vector<LeftOut> left_out;
  std::vector<LedgerLine> ledger;
  std::vector<double> conservation;  // of every sample
  Explained explained;
  Tensor first;  // input
  Film film;     // of frames
};

/// The rows that were asked for, or the axioms.
std::vector<RowScores> rows_of(const CheckFlags& f, const Session& session, const Survey& all,
                               std::vector<LeftOut>& left_out) {
  std::vector<AxiomRow> rows;
  if (f.metrics.empty()) {
    AboutInputs about{session.network().input_shape(), !all.mask_hashes.empty(), 0};
    const std::vector<double> black = session.black();
    const std::vector<double> white = session.white();
    for (std::size_t c = 0; c < black.size(); ++c) about.range = std::max(about.range, white[c] - black[c]);
    if (!(about.range > 0))
      about.range = all.most > all.least ? static_cast<double>(all.most) - all.least : 1;
    rows = axioms_of(about, left_out);
    for (const Equivalent& rewrite : equivalents())
      rows.push_back(row_of_metric("implementation_invariance:rewrite=" + rewrite.name));
  }
  for (const std::string& text : f.metrics) rows.push_back(row_of_metric(text));
  std::vector<RowScores> scores;
  for (const AxiomRow& row : rows) scores.push_back({row, {}, {}});
  return scores;
}

/// Measures some samples. Of the axioms, those that cannot be measured are left out.
void measure(Findings& found, const CheckFlags& f, const Evaluation& e, const Evaluation* control) {
  std::erase_if(found.rows, [&](RowScores& row) {
    try {
      row.add(e, control);
    } catch (const UsageError& error) {  // such as a network without a bias to shift
      if (!f.metrics.empty()) throw;
      found.left_out.push_back({row.row.metric, error.what()});
      return true;
    }
    return false;
  });
}

void append(std::vector<LedgerLine>& all, const std::vector<LedgerLine>& part) {
  if (all.empty()) {
    all = part;
    return;
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    for (auto sums :
         {&LedgerLine::entering, &LedgerLine::leaving, &LedgerLine::absorbed, &LedgerLine::stabilized})
      (all[k].*sums).insert((all[k].*sums).end(), (part[k].*sums).begin(), (part[k].*sums).end());
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
std::string targets_text(const Session& session, const Survey& all) {
  const std::vector<std::int64_t>& targets = all.targets;
  constexpr std::size_t kNamed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, targets.size()); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : ", ", all.items[i].name, target_name(session, targets[i]));
  return targets.size() > kNamed ? text + fmt::format(" and {} more", targets.size() - kNamed) : text;
}

report::CheckReport describe(const Session& session, const Recipe& recipe, const InputSource& inputs,
                             const Survey& all, const Findings& found,
                             const std::vector<std::string>& warnings, const GlobalFlags& global,
                             const CheckFlags& f) {
  report::CheckReport r;
  r.warnings = warnings;
  r.model = std::filesystem::path(session.model().path()).filename().string();
  r.recipe = recipe.text;
  r.images = all.items.size();
  r.conservation = mean_of(found.conservation);
  for (const Axiom& a : found.axioms) add_measured(r, a);
  for (const LeftOut& l : found.left_out) r.left_out.emplace_back(l.metric, l.reason);
  r.unprepared = inputs.photos() && !session.preprocessing().stated;
  r.ledger = rows_of(found.ledger);
  r.path = f.frames ? "the frames" : f.motion;
  r.changes = found.film.changes;
  r.frames = found.film.frames;
  r.facts = {{"model", r.model},
             {"SHA-256 of the model", session.model().hash()},
             {"inputs", fmt::format("{} of shape {}", r.images, to_string(session.network().input_shape()))},
             {"preprocessing", preprocessing_text(session, inputs)},
             {f.target == "auto" ? "predicted class, which is explained" : "explained class",
              targets_text(session, all)},
             {"intervals", report::intervals_over(r.images)},
             {"seed", std::to_string(global.seed)},
             {"command", global.command},
             {"heatproof", HEATPROOF_VERSION}};
  if (!all.skipped.empty()) r.facts.emplace_back("left out", left_out(all.skipped, all.items.size()));
  return r;
}

/// Refuses what cannot be measured before anything is.
void validate(const CheckFlags& f) {
  if (std::ranges::find(motion_names(), f.motion) == motion_names().end())
    throw UsageError(fmt::format("--motion {}: use translation, rotation or brightness", f.motion));
  for (const std::string& text : f.metrics) parse_metric(text);
}

/// The masks, if any metric looks at them.
Masks masks_of(const InputSource& inputs, const CheckFlags& f) {
  const auto needs = std::ranges::find_if(
      f.metrics, [](const std::string& text) { return parse_metric(text).metric->needs_masks; });
  if (needs == f.metrics.end() && f.masks.empty() && !f.metrics.empty()) return {};
  return cli::masks_of(inputs, f.masks, needs != f.metrics.end() ? *needs : "");
}

/// Goes through all inputs, a few at a time.
Findings measure_all(const GlobalFlags& global, const CheckFlags& f, const Session& session,
                     const InputSource& inputs, const Masks& masks, const Survey& all, Subject& subject) {
  Findings found;
  found.rows = rows_of(f, session, all, found.left_out);
  ExplainOptions options = session.explain_options(global.seed);
  options.expected = all.size();
  Subject uniform(parse_recipe("uniform"), session, options);
  const bool is_control = subject.recipe.method->name == "uniform";
  options.ledger = true;
  Explainer ledger(session.network(), {subject.recipe}, options);
  const Donors donors = all.donors(inputs);
  subject.evaluation.donors = uniform.evaluation.donors = [&]() -> const Donors& { return donors; };
  const bool compares = std::ranges::any_of(
      found.rows, [](const RowScores& r) { return parse_metric(r.row.metric).compares_samples(); });
  const bool image = session.network().input_shape().rank() == 4;
  const std::int64_t together = measured_together(inputs, compares);
  InputStream stream(inputs, all.items);
  std::int64_t first = 0;
  for (InputSet set = stream.next(together); set.size() > 0; set = stream.next(together)) {
    session.at(first, all.size());
    masks.read(set);
    const Tensor logits = all.logits.rows(first, first + set.size());
    const std::vector<std::int64_t> targets(all.targets.begin() + first,
                                            all.targets.begin() + first + set.size());
    subject.explain(set, logits, targets);
    uniform.explain(set, logits, targets);
    append(found.ledger, ledger.explain(set.inputs, targets, subject.evaluation.ids).ledger[0]);
    measure(found, f, subject.evaluation, is_control ? nullptr : &uniform.evaluation);
    const auto sums = evaluate(parse_metric("conservation"), subject.evaluation).values;
    found.conservation.insert(found.conservation.end(), sums.begin(), sums.end());
    found.explained.add(set, logits, targets, subject.evaluation.relevance);
    if (first == 0) found.first = set.inputs.rows(0, 1).clone();
    if (f.frames)
      found.film.add(session, subject.recipe, set.inputs, subject.evaluation.relevance,
                     image && !f.out.empty());
    first += set.size();
  }
  for (const RowScores& row : found.rows) found.axioms.push_back(row.axiom(session.network(), global.seed));
  session.at(0, 0);
  if (!f.frames && image && !f.out.empty())
    found.film = moving(session, subject, found.first, all.targets[0], sample_ids(all.items)[0], f.motion);
  return found;
}

void check_command(const GlobalFlags& global, const CheckFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  validate(f);
  const Session session(global, f.model);
  std::vector<MetricSpec> metrics;
  for (const std::string& text : f.metrics) metrics.push_back(parse_metric(text));
  note_scores(global, session.network(), std::span(&recipe, 1), metrics);
  const InputSource inputs = session.open(f.input, f.limit);
  const Masks masks = masks_of(inputs, f);
  Survey all = survey(session, inputs, Targets(f.target, session, inputs), masks);
  if (f.frames && all.size() < 2)
    throw UsageError(fmt::format(
        "--frames: {} gives one image, and a video needs at least two; give the folder of its frames",
        f.input));
  if (f.frames && f.target == "auto")  // one object through the video
    std::ranges::fill(all.targets, all.targets[0]);
  warn_of_derivatives(global, session.network(), std::span(&recipe, 1));
  ExplainOptions options = session.explain_options(global.seed);
  options.expected = all.size();
  Subject subject(recipe, session, options);
  release_notes();  // what follows takes long
  const Findings found = measure_all(global, f, session, inputs, masks, all, subject);
  const Verdict verdict = judge(session, inputs, recipe, found.explained, global.seed);
  std::vector<std::string> warnings = verdict.warnings();
  if (!found.explained.zero.empty())
    warnings.push_back(fmt::format("{}: relevance is zero everywhere for {}; only its sum is scored there",
                                   recipe.text, some_of(found.explained.zero, found.explained.items)));
  for (const std::string& line : warnings) warn(global, line);
  warn_of_files(global, all.skipped, all.odd, all.items.size());
  warnings = with_odd(warnings, all.odd);
  if (!f.out.empty()) {
    const auto page = std::filesystem::path(f.out) / "check.html";
    write_file(page, report::render(describe(session, recipe, inputs, all, found, warnings, global, f)));
    if (!global.quiet && !global.json) show("page {}\n\n", page.string());
  }
  if (global.json)
    print_check_json(
        recipe, all.targets, found.axioms, found.left_out, found.ledger,
        f.frames ? &found.film.changes : nullptr,
        {{"explodes", verdict.explodes}, {"skipped", to_json(all.skipped)}, {"warnings", warnings}});
  else if (!global.quiet)
    print_check_text(recipe, all.items.size(), found.axioms, found.left_out, rows_of(found.ledger));
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
