// heatproof select: which explanation of a network to trust, with evidence.
#include "select/selection.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <optional>

#include "base/files.h"
#include "cli/file_names.h"
#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/messages.h"
#include "cli/rule_notes.h"
#include "cli/score_notes.h"
#include "cli/selection_report.h"
#include "heatproof/error.h"
#include "report/facts.h"
#include "select/run.h"
#include "select/space.h"
#include "store/results.h"
#include "validate/features.h"

namespace heatproof::cli {

namespace {

struct SelectFlags {
  ModelFlags model;
  std::string input, space, budget, masks, target = "auto", out = "heatproof-out", shard, metric;
  std::vector<std::string> recipes;
  bool reliability = false;
};

SelectionOptions options_of(const GlobalFlags& global, const SelectFlags& f) {
  SelectionOptions o;
  o.seed = global.seed;
  if (!f.budget.empty()) o.budget_seconds = parse_duration(f.budget);
  o.reliability = f.reliability;
  if (!f.metric.empty()) o.objective = f.metric;
  parse_metric(o.objective);
  if (!f.masks.empty()) o.diagnostics.emplace_back("relevance_rank_accuracy");
  if (!f.shard.empty()) {
    char slash = 0;
    int end = 0;
    long part = 0;
    long parts = 0;
    if (std::sscanf(f.shard.c_str(), "%ld%c%ld%n", &part, &slash, &parts, &end) != 3 || slash != '/' ||
        static_cast<std::size_t>(end) != f.shard.size() || part < 1 || part > parts || parts > 10000)
      throw UsageError(fmt::format("--shard {}: write i/n with 1 <= i <= n, such as 1/4", f.shard));
    o.shard = part - 1;
    o.shards = parts;
  }
  return o;
}

nlohmann::json to_json(const MetricSpec& metric, const Reliability& r) {
  return {{"metric", metric.text},
          {"krippendorff_alpha", r.between_images},
          {"split_half_tau", r.split_half},
          {"above_random", r.above_random},
          {"krippendorff_alpha_with_controls", r.between_images_with_controls},
          {"split_half_tau_with_controls", r.split_half_with_controls}};
}

nlohmann::json reliability_of(const Selection& s) {
  nlohmann::json metrics = nlohmann::json::array({to_json(s.objective, s.reliability)});
  for (const DiagnosticScores& d : s.diagnostics) metrics.push_back(to_json(d.metric, d.reliability));
  nlohmann::json variants = nlohmann::json::array();
  for (const Variant& v : s.variants)
    variants.push_back({{"metric", v.metric.text},
                        {"kendall_tau", v.agreement.mean},
                        {"low", v.agreement.low},
                        {"high", v.agreement.high},
                        {"best", s.recipes[v.best].text}});
  return {{"metrics", metrics}, {"variants", variants}, {"kendall_tau", s.agreement}};
}

/// Explanations of a recipe on the images of the selection, from their measured conservation.
Explained explained_of(const Selection& s, std::size_t recipe, const SelectionData& data) {
  Explained all;
  for (std::size_t k = 0; k < s.images.size(); ++k) {
    const std::size_t i = s.images[k];
    const double share = s.conservation[recipe][k];
    const double score =
        row_of(data.logits, static_cast<std::int64_t>(i))[static_cast<std::size_t>(data.targets[i])];
    if (share == 0) all.zero.push_back(k);
    all.items.push_back(data.items[i]);
    all.targets.push_back(data.targets[i]);
    all.scores.push_back(score);
    all.sums.push_back(score == 0 ? 0 : share * score);  // of a score of zero the share tells nothing
  }
  return all;
}

/// Why a recipe has no score on an image (by its place in the selection), as far as its relevance tells.
std::string why_unscored(const Explained& all, const Verdict& verdict, std::size_t place) {
  if (std::ranges::count(verdict.health.not_finite, place) > 0) return "; " + verdict.not_finite;
  if (std::ranges::count(all.zero, place) > 0) return "; its relevance is zero there";
  return "; what the metric compares is not finite, constant or zero there";
}

/// What is wrong with recipes, in words, best first.
struct Ailing {
  std::vector<std::string> left_out;  // without a score on some image
  std::vector<std::string> others;
  std::map<std::size_t, nlohmann::json> explodes;  // by recipe

  std::vector<std::string> warnings() const {
    std::vector<std::string> all;
    for (const std::string& line : left_out) all.push_back("left out of the ranking: " + line);
    all.insert(all.end(), others.begin(), others.end());
    return all;
  }
};

/// A selection in which no recipe has a score on every image is refused.
Ailing ailing(const GlobalFlags& global, const Session& session, const Selection& s,
              const SelectionData& data) {
  Ailing found;
  for (const Ranked& r : s.ranking) {
    const Explained all = explained_of(s, r.recipe, data);
    const Verdict verdict = judge(session, data.source, s.recipes[r.recipe], all, global.seed);
    if (!verdict.exploded.empty()) {
      found.others.push_back(verdict.exploded);
      found.explodes[r.recipe] = verdict.explodes;
    }
    if (!r.failed) {
      if (!verdict.not_finite.empty()) found.others.push_back(verdict.not_finite);
      continue;
    }
    std::vector<std::size_t> places;
    for (std::size_t k = 0; k < s.images.size(); ++k)
      if (!std::isfinite(s.scores[r.recipe][k])) places.push_back(k);
    found.left_out.push_back(fmt::format(
        "{} of {} is no number on {} of {} images (first: {}){}", s.objective.text, s.recipes[r.recipe].text,
        places.size(), s.images.size(), all.items[places[0]].name, why_unscored(all, verdict, places[0])));
  }
  if (s.ranking[0].failed)
    throw Error(
        fmt::format("nothing can be selected, since no recipe has a score on every image: {}; leave "
                    "out images or choose another --metric",
                    found.left_out[0]));
  return found;
}

/// How much worse a recipe is than the best, paired by image.
nlohmann::json shortfall_of(const Ranked& r, std::size_t images) {
  return {{"n", images},
          {"mean", r.shortfall.mean},
          {"low", r.shortfall.low},
          {"high", r.shortfall.high},
          {"rough", r.shortfall.rough}};
}

/// The best recipe against every control.
nlohmann::json controls_of(const Selection& s, const std::vector<OverControl>& controls) {
  nlohmann::json list = nlohmann::json::array();
  for (const OverControl& c : controls)
    list.push_back({{"control", s.recipes[c.control].text},
                    {"mean", c.difference.mean},
                    {"low", c.difference.low},
                    {"high", c.difference.high},
                    {"p", c.p},
                    {"compared", c.compared},
                    {"beaten", c.beaten}});
  return list;
}

void print_json_summary(const Selection& s, const SelectFlags& f, const Ailing& ills,
                        const std::string& caveat, const Survey& all) {
  nlohmann::json ranking = nlohmann::json::array();
  for (const Ranked& r : s.ranking) {
    ranking.push_back({{"recipe", s.recipes[r.recipe].text},
                       {"score", r.score.mean},
                       {"low", r.score.low},
                       {"high", r.score.high},
                       {"rough", r.score.rough},
                       {"in_best_set", r.in_best_set},
                       {"p", r.p},
                       {"effect", r.effect},
                       {"shortfall", &r == s.ranking.data() ? nullptr : shortfall_of(r, s.images.size())},
                       {"control", s.recipes[r.recipe].method->control},
                       {"failed", r.failed},
                       {"explodes", ills.explodes.contains(r.recipe) ? ills.explodes.at(r.recipe)
                                                                     : nlohmann::json(nullptr)}});
  }
  const Confirmation& c = s.confirmation;
  nlohmann::json confirmation = nullptr;
  if (c.images > 0)
    confirmation = {{"images", c.images},     {"score", c.score.mean},
                    {"low", c.score.low},     {"high", c.score.high},
                    {"rough", c.score.rough}, {"over_controls", controls_of(s, c.over_controls)}};
  print_json({{"best", s.recipes[s.ranking[0].recipe].text},
              {"objective", {{"metric", s.objective.text}, {"ideal", to_string(s.objective.better())}}},
              {"ranking", ranking},
              {"beats_controls", s.beats_controls},
              {"over_controls", controls_of(s, s.over_controls)},
              {"confirmed", s.confirmed},
              {"images", s.images.size()},
              {"confirmation", confirmation},
              {"caveat", caveat.empty() ? nlohmann::json(nullptr) : nlohmann::json(caveat)},
              {"reliability", reliability_of(s)},
              {"skipped", cli::to_json(all.skipped)},
              {"warnings", with_odd(ills.warnings(), all.odd)},
              {"out", f.out}});
}

void print_summary(const report::SelectReport& r, const SelectFlags& f, const std::string& caveat) {
  std::string headline = report::headline(r);
  std::erase(headline, '`');
  show("{}\n\n{} ({}) [95 % interval]\n", headline, r.objective, r.objective_better);
  std::size_t place = 0;
  for (const auto& e : r.ranking) {
    const std::string interval = std::isfinite(e.score.low)
                                     ? fmt::format("[{:.4g}, {:.4g}]", e.score.low, e.score.high)
                                     : "no interval";
    show("{:3}  {:<44} {:>9} {}{}{}\n", ++place, e.recipe, fmt::format("{:.4g}", e.score.mean), interval,
         e.in_best_set ? "  *" : "", e.control ? "  control" : "");
  }
  show("\n* cannot be told from the best\n{}{}", caveat, caveat.empty() ? "" : "\n");
  const std::filesystem::path out = f.out;
  show("report  {}\nrecipe  {}\nresults {}\n", (out / "report.html").string(), (out / "recipe.toml").string(),
       (out / "results.sqlite").string());
}

/// Said where the folder's results were concluded from fewer images before. It is no part of the report,
/// since finished results have the same bytes however they came about.
std::string looked_before(const report::SelectReport& r, const Results& results) {
  const auto earlier = results.get("report");
  const std::size_t images = earlier ? report::images_of(*earlier, r.model, r.objective) : 0;
  if (images == 0 || images >= r.images) return "";
  return fmt::format(
      "A result of {} images was seen before these {}. Error rates and intervals hold for a number of images "
      "that "
      "was fixed beforehand; do not add images until the result is as you like it.",
      images, r.images);
}

void conclude(const GlobalFlags& global, const SelectFlags& f, const Selection& s,
              const report::SelectReport& r, const Ailing& ills, const Survey& all, Results& results) {
  const std::filesystem::path out = f.out;
  const std::string caveat = r.caveat.empty() ? looked_before(r, results) : r.caveat;
  results.begin();
  for (const std::string& name : results.names())
    if (name != kRunFact) results.remove(name);
  for (const auto& [name, bytes] : report::to_facts(r)) results.set(name, bytes);
  results.commit();
  write_file(out / "report.html", report::render(r));
  write_file(out / "recipe.toml", r.recipe_toml);
  results.finish();
  if (global.json)
    print_json_summary(s, f, ills, caveat, all);
  else if (!global.quiet)
    print_summary(r, f, caveat);
}

/// The recipes that were asked for, or the default ones, and the controls.
std::vector<Recipe> recipes_of(const SelectFlags& f, const Session& session, std::vector<Recipe> recipes) {
  for (const std::string& text : f.recipes) {
    for (Recipe& recipe : expand_recipes(text)) recipes.push_back(std::move(recipe));
  }
  return with_controls(recipes.empty() ? default_recipes(session.has_box()) : std::move(recipes));
}

SelectionData data_of(const GlobalFlags& global, const Session& session, const InputSource& inputs,
                      const Masks& masks, const Survey& s) {
  ExplainOptions options = session.explain_options(global.seed);
  options.expected = s.size();
  return {.network = session.network(),
          .source = inputs,
          .masks = masks,
          .items = s.items,
          .mask_hashes = s.mask_hashes,
          .targets = s.targets,
          .logits = s.logits,
          .black = session.black(),
          .white = session.white(),
          .explain = options,
          .model_hash = session.context_hash()};
}

/// Runs `measure` on the results in the folder; where it fails before anything was measured, no file is left.
template <typename Measure>
void with_results(const std::filesystem::path& folder, const Measure& measure) {
  const std::filesystem::path file = folder / "results.sqlite";
  std::error_code error;
  const bool fresh_folder = !std::filesystem::exists(folder, error);
  const bool fresh = !std::filesystem::exists(file, error);
  std::optional<Results> results;
  try {
    results.emplace(file);
    measure(*results);
  } catch (...) {
    // Removed while it is held: who waits for it sees that.
    if (fresh && results && results->is_open() && results->cells() == 0) std::filesystem::remove(file, error);
    results.reset();
    if (fresh_folder && std::filesystem::is_directory(folder, error))
      std::filesystem::remove(folder, error);  // where it is empty
    throw;
  }
}

void select_and_report(const GlobalFlags& global, const SelectFlags& f, const Session& session,
                       const SelectionData& data, const Survey& all, const std::vector<Recipe>& recipes,
                       const SelectionOptions& options) {
  validate(data, recipes, options);
  std::vector<MetricSpec> metrics{parse_metric(options.objective)};
  for (const std::string& text : options.diagnostics) metrics.push_back(parse_metric(text));
  const std::string watched = note_scores(global, session.network(), recipes, metrics);
  when_stopped(fmt::format("stopped; what is measured is kept in {}; run the same command again to go on",
                           (std::filesystem::path(f.out) / "results.sqlite").string()));
  for (const char* name : {"recipe.toml", "report.html"})
    must_not_replace("--out", std::filesystem::path(f.out) / name, files_read(session, {f.space, f.target}));
  release_notes();  // what follows takes long
  with_results(f.out, [&](Results& results) {
    results.set(kRunFact, to_text(run_of(session, data, options)));
    Selection selection;
    {
      Progress progress("select", global.quiet);
      selection = select(data, recipes, options, results,
                         [&](std::int64_t done, std::int64_t total) { progress.set(done, total); });
    }
    if (options.shards > 1) {
      const std::int64_t cells = results.cells();
      results.finish();  // the same bytes, however often it was stopped
      if (!global.quiet)
        note(fmt::format("part {} is measured; join all parts with heatproof merge, then select again",
                         f.shard));
      if (global.json) print_json({{"shard", f.shard}, {"cells", cells}});
      return;
    }
    const Ailing ills = ailing(global, session, selection, data);
    auto report = describe(session, data, all.skipped, selection);
    report.warnings = ills.warnings();
    for (const std::string& line : report.warnings) warn(global, line);
    report.warnings = with_odd(report.warnings, all.odd);
    for (const std::string& line : ills.left_out) report.facts.emplace_back("left out of the ranking", line);
    for (std::size_t k = 0; k < report.ranking.size(); ++k)
      report.ranking[k].explodes = ills.explodes.contains(selection.ranking[k].recipe);
    if (!watched.empty()) report.facts.emplace_back("what is watched", watched);
    for (const std::string& line : session.warnings()) report.facts.emplace_back("warning", line);
    if (!f.model.memory.empty() || f.model.batch > 0)
      report.facts.emplace_back(
          "batches",
          "of another size than this network's, by --memory or --batch: scores differ by "
          "rounding from those of other sizes");
    report.facts.emplace_back("seed", std::to_string(global.seed));
    report.facts.emplace_back("command", global.command);
    conclude(global, f, selection, report, ills, all, results);
  });
}

void select_command(const GlobalFlags& global, SelectFlags f) {
  if (f.model.model.empty()) {  // the network and the images that heatproof ships
    const std::filesystem::path shapes = std::filesystem::path(HEATPROOF_ASSETS) / "shapes";
    f.model.model = (shapes / "shapes.onnx").string();
    f.input = (shapes / "images").string();
    if (f.masks.empty()) f.masks = (shapes / "masks").string();
  }
  if (f.input.empty()) throw UsageError("select needs INPUT: a folder of images, or .npy/.npz");
  SelectionOptions options = options_of(global, f);
  std::vector<Recipe> recipes;
  if (!f.space.empty()) {
    Space space = read_space(f.space, options);
    options = space.options;
    recipes = std::move(space.recipes);
  }
  const Session session(global, f.model, true);
  recipes = recipes_of(f, session, std::move(recipes));
  warn_of_derivatives(global, session.network(), recipes);
  const InputSource inputs = session.open(f.input);
  const Masks masks = masks_of(inputs, f.masks, "");
  const Targets targets(f.target, session, inputs);
  const Survey all = survey(session, inputs, targets, masks);
  if (masks && f.masks.empty() && f.space.empty())
    options.diagnostics.emplace_back("relevance_rank_accuracy");
  warn_of_files(global, all.skipped, all.odd, all.items.size());
  select_and_report(global, f, session, data_of(global, session, inputs, masks, all), all, recipes, options);
}

}  // namespace

void add_select(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<SelectFlags>();
  auto* command = app.add_subcommand(
      "select",
      "rank recipes on your images, with evidence; without MODEL: on the network that heatproof ships");
  add_model_flags(*command, f->model, false);
  command->add_option("INPUT", f->input, "a folder of images, or .npy/.npz");
  command->add_option("--space", f->space, "TOML file with recipes, objective, diagnostics, held_back");
  command->add_option("--recipe", f->recipes, "a recipe or grid to compare; may be repeated");
  command->add_option("--metric", f->metric, "what to rank by");
  command->add_option("--masks", f->masks,
                      "masks of the true evidence: a folder, or .npy [N, H, W]; else NAME.mask.png or masks/ "
                      "beside the images");
  command->add_option("--target", f->target,
                      "auto (the predicted class), an index, a label, or a .npy of indices");
  command->add_flag("--reliability", f->reliability,
                    "rank with other settings of the metric, too, and report how alike the orders are");
  command->add_option("--budget", f->budget, "stop adding images after this time, such as 5m");
  command->add_option("--shard", f->shard, "i/n: measure only this part");
  command->add_option("--out", f->out, "folder for report.html, recipe.toml and results.sqlite");
  command->callback([f, &global] { select_command(global, *f); });
}

}  // namespace heatproof::cli
