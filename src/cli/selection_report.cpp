#include "cli/selection_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cli/inputs.h"
#include "cli/outputs.h"
#include "engine/program.h"
#include "report/page.h"
#include "select/shares.h"
#include "select/space.h"
#include "validate/features.h"

namespace heatproof::cli {

namespace {

report::Estimate estimate(const Interval& i) { return {i.mean, i.low, i.high}; }

std::vector<report::RankedRecipe> ranking_of(const Selection& s, std::uint64_t seed) {
  std::vector<report::RankedRecipe> ranking;
  for (const Ranked& r : s.ranking) {
    const Recipe& recipe = s.recipes[r.recipe];
    report::RankedRecipe entry{.recipe = recipe.text,
                               .about = recipe.method->about,
                               .score = estimate(r.score),
                               .p = r.p,
                               .effect = r.effect,
                               .shortfall = estimate(r.shortfall),
                               .in_best_set = r.in_best_set,
                               .control = recipe.method->control,
                               .failed = r.failed,
                               .curves = s.curves[r.recipe]};
    for (const DiagnosticScores& d : s.diagnostics) {
      const auto& scores = d.scores[r.recipe];
      entry.diagnostics.push_back(
          estimate(interval_of(Bootstrap(scores.size(), seed, 2000), scores, are_shares(d.scores))));
    }
    ranking.push_back(std::move(entry));
  }
  return ranking;
}

std::vector<report::AgainstControl> controls_of(const Selection& s) {
  std::vector<report::AgainstControl> all;
  for (const OverControl& c : s.over_controls) {
    report::AgainstControl against{s.recipes[c.control].text, estimate(c.difference), c.compared, c.beaten};
    for (const OverControl& h : s.confirmation.over_controls) {
      if (h.control != c.control) continue;
      against.held_back = estimate(h.difference);
      against.held_back_compared = h.compared;
      against.held_back_beaten = h.beaten;
    }
    all.push_back(std::move(against));
  }
  return all;
}

struct Shown {
  std::string role;
  std::size_t recipe;
};

/// The best, the median and the worst recipe, and the best control where none of them is a control.
std::vector<Shown> shown_of(const Selection& s) {
  std::vector<std::size_t> ranked;
  for (const Ranked& r : s.ranking) {
    if (!r.failed) ranked.push_back(r.recipe);
  }
  std::vector<Shown> shown;
  const auto add = [&](const std::string& role, std::size_t recipe) {
    if (std::ranges::find(shown, recipe, &Shown::recipe) == shown.end()) shown.push_back({role, recipe});
  };
  if (ranked.empty()) return shown;
  add("best", ranked.front());
  add("median", ranked[ranked.size() / 2]);
  for (std::size_t r : ranked) {
    if (!s.recipes[r].method->control) continue;
    if (r != ranked.back()) add("best control", r);
    break;
  }
  add("worst", ranked.back());
  return shown;
}

/// Heatmaps [shown][image]; what the selection did not explain itself is explained now.
std::vector<std::vector<std::vector<float>>> heatmaps_of(const Session& session, const SelectionData& data,
                                                         const Selection& s, const std::vector<Shown>& shown,
                                                         const std::vector<std::size_t>& images,
                                                         const InputSet& set) {
  std::vector<std::vector<std::vector<float>>> maps(shown.size());
  std::vector<Recipe> recipes;
  for (std::size_t m = 0; m < shown.size(); ++m) {
    recipes.push_back(s.recipes[shown[m].recipe]);
    for (std::size_t i : images) {
      if (const auto known = s.heatmaps.find({i, shown[m].recipe}); known != s.heatmaps.end())
        maps[m].push_back(known->second);
    }
  }
  if (std::ranges::all_of(maps, [&](const auto& m) { return m.size() == images.size(); })) return maps;
  std::vector<std::int64_t> targets;
  for (std::size_t i : images) targets.push_back(data.targets[i]);
  Explainer explainer(session.network(), recipes, data.explain);
  const Explanation e = explainer.explain(set.inputs, targets, sample_ids(set.items));
  for (std::size_t m = 0; m < shown.size(); ++m) {
    maps[m].clear();
    const Tensor pooled = pool_channels(e.relevance[m], pool_of(recipes[m]));
    for (std::int64_t k = 0; k < pooled.shape()[0]; ++k) {
      const auto map = pooled.rows(k, k + 1).data<float>();
      maps[m].emplace_back(map.begin(), map.end());
    }
  }
  return maps;
}

void add_exhibits(report::SelectReport& r, const Session& session, const SelectionData& data,
                  const Selection& s) {
  const auto images = exhibited(s);
  const auto shown = shown_of(s);
  if (images.empty() || shown.empty() || session.network().input_shape().rank() != 4) return;
  for (const Shown& x : shown) r.shown.emplace_back(x.role, s.recipes[x.recipe].text);
  std::vector<InputItem> items;
  for (std::size_t i : images) items.push_back(data.items[i]);
  const InputSet set = InputStream(data.source, items).next(static_cast<std::int64_t>(items.size()));
  const auto maps = heatmaps_of(session, data, s, shown, images, set);
  const Probability& probability = session.network().probability();
  for (std::size_t k = 0; k < images.size(); ++k) {
    const std::size_t i = images[k];
    const auto column = static_cast<std::size_t>(std::ranges::find(s.images, i) - s.images.begin());
    report::Exhibit x{items[k].name, target_name(session, data.targets[i]),
                      probability.of(row_of(data.logits, static_cast<std::int64_t>(i)), data.targets[i]),
                      picture_of(session, set, k)};
    for (std::size_t m = 0; m < shown.size(); ++m) {
      x.relevance.push_back(maps[m][k]);
      x.scores.push_back(s.scores[shown[m].recipe][column]);
    }
    r.exhibits.push_back(std::move(x));
  }
}

std::vector<std::pair<std::string, std::string>> facts_of(const Session& session, const SelectionData& data,
                                                          const Selection& s) {
  return {{"model",
           fmt::format("{}, opset {}, {}", std::filesystem::path(session.model().path()).filename().string(),
                       session.model().opset(), session.model().producer())},
          {"SHA-256 of the model", session.model().hash()},
          {"input", fmt::format("{} samples of shape {}", data.items.size(),
                                to_string(session.network().input_shape()))},
          {"preprocessing", preprocessing_text(session, data.source)},
          {"images",
           fmt::format("{} to select on, {} held back to confirm", s.images.size(), s.held_back.size())},
          {"statistics",
           fmt::format("{}; differences paired by image and tested for all pairs of recipes at once",
                       report::intervals_over(s.images.size()))},
          {"heatproof", HEATPROOF_VERSION},
          {"oneDNN", dnnl_version_text()}};
}

}  // namespace

std::string caveat_of(const Selection& s) {
  if (!s.cut_by_budget) return "";
  return fmt::format(
      "The time of --budget was up after {} images. Error rates and intervals hold for a number of images "
      "that "
      "was fixed beforehand; do not add images until the result is as you like it.",
      s.images.size());
}

std::string preprocessing_text(const Session& session, const InputSource& inputs) {
  const Preprocessing& p = session.preprocessing();
  const bool prepared = inputs.photos() || (inputs.pixels() && p.stated);
  if (!prepared) return "none: arrays are fed as they are";
  std::string text = fmt::format("{} channels, range 0 to {:g}", p.channels, p.range);
  if (!p.stated) text += " (assumed, since nobody said it)";
  if (p.resize && inputs.photos()) text += fmt::format(", shorter side {}", *p.resize);
  if (!p.mean.empty()) text += fmt::format(", mean {}", fmt::join(p.mean, ", "));
  if (!p.std.empty()) text += fmt::format(", std {}", fmt::join(p.std, ", "));
  return text;
}

report::Picture drawn(const Session& session, std::span<const float> x, std::vector<double> black,
                      std::vector<double> white) {
  const Shape& s = session.network().input_shape();
  std::vector<float> planes(x.begin(), x.end());
  if (session.preprocessing().channels == "bgr" && s[1] == 3) {
    const auto pixels = static_cast<std::ptrdiff_t>(s[2] * s[3]);
    std::swap_ranges(planes.begin(), planes.begin() + pixels, planes.begin() + 2 * pixels);
    std::ranges::reverse(black);
    std::ranges::reverse(white);
  }
  return report::draw_input(planes, static_cast<int>(s[1]), static_cast<int>(s[2]), static_cast<int>(s[3]),
                            black, white);
}

report::Picture picture_of(const Session& session, const InputSet& set, std::size_t sample) {
  const Shape& s = set.inputs.shape();
  if (s.rank() != 4) return {};
  if (sample < set.rgb.size()) return {static_cast<int>(s[2]), static_cast<int>(s[3]), set.rgb[sample]};
  const auto size = static_cast<std::size_t>(s[1] * s[2] * s[3]);
  return drawn(session, set.inputs.data<float>().subspan(sample * size, size));
}

report::SelectReport describe(const Session& session, const SelectionData& data,
                              const std::vector<SkippedFile>& skipped, const Selection& s) {
  report::SelectReport r;
  r.model = std::filesystem::path(session.model().path()).filename().string();
  r.images = s.images.size();
  r.objective = s.objective.text;
  r.objective_about = s.objective.metric->about;
  r.objective_better = to_string(s.objective.better());
  r.ranking = ranking_of(s, data.explain.seed);
  r.beats_controls = s.beats_controls;
  r.over_control = estimate(s.over_control);
  r.confirmed_images = s.confirmation.images;
  r.confirmed = estimate(s.confirmation.score);
  r.confirmed_over_control = estimate(s.confirmation.over_control);
  r.confirms = s.confirmed;
  r.controls = controls_of(s);
  r.caveat = caveat_of(s);
  r.agreement_names.push_back(s.objective.text);
  for (const DiagnosticScores& d : s.diagnostics) {
    const Metric& m = *d.metric.metric;
    r.diagnostics.push_back({d.metric.text, m.about, m.unit, to_string(d.metric.better()),
                             d.scores.empty() ? 0 : d.scores[0].size()});
    r.agreement_names.push_back(d.metric.text);
  }
  r.agreement = s.agreement;
  const auto trust = [&](const MetricSpec& m, const Reliability& k) {
    r.trusted.push_back({m.text, k.between_images, k.split_half, k.above_random,
                         k.between_images_with_controls, k.split_half_with_controls});
  };
  trust(s.objective, s.reliability);
  for (const DiagnosticScores& d : s.diagnostics) trust(d.metric, d.reliability);
  for (const Variant& v : s.variants)
    r.varied.push_back({v.metric.text, estimate(v.agreement), s.recipes[v.best].text});
  add_exhibits(r, session, data, s);
  r.facts = facts_of(session, data, s);
  for (const SkippedFile& f : skipped) r.skipped.emplace_back(f.name, f.reason);
  r.recipe_toml = format_recipe_file(s, session.model().hash());
  return r;
}

Run run_of(const Session& session, const SelectionData& data, const SelectionOptions& o) {
  Sha256 images;
  for (std::size_t i = 0; i < data.items.size(); ++i)
    images.add(fmt::format("{} {} {};", data.items[i].hash, data.targets[i],
                           data.mask_hashes.empty() ? "" : data.mask_hashes[i]));
  return {{"version of heatproof", HEATPROOF_VERSION},
          {"model", session.model().hash()},
          {"output", session.network().options().output_name},
          {"preprocessing", preprocessing_text(session, data.source)},
          {"model, output and range of pixels", data.model_hash},
          {"images, targets and masks",
           fmt::format("{} of {}", images.digits().substr(0, 12), data.items.size())},
          {"metric", o.objective},
          {"diagnostics", fmt::format("{}", fmt::join(o.diagnostics, " "))},
          {"images of costly diagnostics", std::to_string(o.diagnostic_images)},
          {"share held back", fmt::format("{}", o.held_back)},
          {"reliability", o.reliability ? "yes" : "no"},
          {"seed", std::to_string(o.seed)}};
}

}  // namespace heatproof::cli
