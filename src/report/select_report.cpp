#include "report/select_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "report/page.h"

namespace heatproof::report {

namespace {

/// Whisker and dot on a common scale.
std::string interval_bar(const Estimate& e, double low, double high) {
  if (!std::isfinite(e.mean) || !(high > low)) return "";
  const auto at = [&](double v) { return 100 * (v - low) / (high - low); };
  std::string bar = "<div class=\"interval\">";
  if (low < 0 && high > 0) bar += fmt::format("<u style=\"left:{:.2f}%\"></u>", at(0));
  if (std::isfinite(e.low))
    bar += fmt::format("<i style=\"left:{:.2f}%;width:{:.2f}%\"></i>", at(e.low), at(e.high) - at(e.low));
  return bar + fmt::format("<b style=\"left:{:.2f}%\"></b></div>", at(e.mean));
}

std::string code(std::string_view text) { return "<code>" + escape(text) + "</code>"; }

std::string p_text(double p) { return p < 0.001 ? "&lt; 0.001" : number(p, 2); }

/// "mean [low, high]", and the effect size.
std::string shortfall_text(const RankedRecipe& e) {
  const std::string mean = number(e.shortfall.mean);
  if (!std::isfinite(e.shortfall.low)) return mean;
  return fmt::format("{} [{}, {}]<br>{} sd", mean, number(e.shortfall.low), number(e.shortfall.high),
                     number(e.effect, 2));
}

void add_ranking(Page& page, const SelectReport& r) {
  double low = 0;
  double high = 0;
  for (const auto& entry : r.ranking) {
    for (double v : {entry.score.mean, entry.score.low, entry.score.high}) {
      if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
    }
  }
  const double margin = 0.04 * (high - low);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < r.ranking.size(); ++i) {
    const auto& e = r.ranking[i];
    std::string name = code(e.recipe);
    if (e.in_best_set)
      name += i == 0 ? "<span class=\"tag best\">best</span>" : "<span class=\"tag best\">as good</span>";
    if (e.control) name += "<span class=\"tag control\">control</span>";
    if (e.explodes) name += "<span class=\"tag control\">explodes</span>";
    std::string kind = "\x01";
    kind += e.in_best_set ? "best " : "";
    kind += e.control ? "control" : "";
    rows.push_back({kind, std::to_string(i + 1), name, number(e.score.mean),
                    interval_bar(e.score, low - margin, high + margin),
                    std::isfinite(e.score.low)
                        ? fmt::format("{} … {}", number(e.score.low), number(e.score.high))
                        : "n/a",
                    i == 0 || e.failed ? "" : shortfall_text(e),
                    i == 0     ? ""
                    : e.failed ? "failed"
                               : p_text(e.p)});
  }
  page.section("Ranking");
  page.text(fmt::format(
      "Objective: `{}` ({}). {} Bars show {}, of each recipe alone. Behind the best: mean difference image "
      "by "
      "image (positive where worse) and in standard deviations; its interval holds for all pairs of recipes "
      "at "
      "once, since the scores themselves say which one is best, and contains zero exactly where a recipe "
      "cannot be told from the best. p: chance of a difference this large between any two of the recipes, "
      "were "
      "all of them equal; 0.05 is the limit.{}",
      r.objective, r.objective_better, r.objective_about, intervals_over(r.images),
      std::ranges::any_of(r.ranking, &RankedRecipe::failed)
          ? " Failed: without a score on some image, see below; compared with nothing."
          : ""));
  page.table({"", "recipe", "score", "95 % interval", "", "behind the best", "p"}, rows,
             {true, false, true, false, true, true, true});
}

std::string lead_text(const Estimate& lead, bool compared, bool beaten) {
  if (!compared) return "not compared";
  std::string text = number(lead.mean);
  if (std::isfinite(lead.low)) text += fmt::format(" [{}, {}]", number(lead.low), number(lead.high));
  return text + (beaten ? "" : ", not significant");
}

void add_controls(Page& page, const SelectReport& r) {
  if (r.controls.empty()) return;
  page.text(fmt::format(
      "How far `{}` is above the controls, with 95 % intervals{}:", r.ranking[0].recipe,
      r.confirms ? "" : ". That it beats every one of them is not confirmed: " + unconfirmed_because(r)));
  const bool held_back = r.confirmed_images > 0;
  std::vector<std::string> header{"control", fmt::format("on the {} images above", r.images)};
  if (held_back) header.push_back(fmt::format("on {} images that selection did not see", r.confirmed_images));
  std::vector<std::vector<std::string>> rows;
  for (const AgainstControl& c : r.controls) {
    rows.push_back({code(c.control), lead_text(c.lead, c.compared, c.beaten)});
    if (held_back) rows.back().push_back(lead_text(c.held_back, c.held_back_compared, c.held_back_beaten));
  }
  page.table(header, rows, {false, true, true});
}

/// The photo and its heatmaps: one row of the grid.
std::string exhibit(const SelectReport& r, const Exhibit& x) {
  const std::string share =
      std::isnan(x.probability) ? std::string() : fmt::format(" {:.0f} %", 100 * x.probability);
  std::string row = fmt::format(
      "\n<figure class=\"photo\"><img src=\"{}\" alt=\"{}\"><figcaption>{}<br>{}{}</figcaption></figure>",
      data_uri(x.photo), escape(x.name), escape(x.name), escape(x.label), share);
  for (std::size_t k = 0; k < x.relevance.size(); ++k) {
    const Picture map = draw_heatmap(x.relevance[k], x.photo.height, x.photo.width);
    row += fmt::format(
        "\n<figure><img src=\"{}\" alt=\"heatmap of {} for {}\"><figcaption>score {}</figcaption></figure>",
        data_uri(map), escape(r.shown[k].second), escape(x.name), number(x.scores[k]));
  }
  return row;
}

void add_heatmaps(Page& page, const SelectReport& r) {
  if (r.exhibits.empty() || r.shown.empty()) return;
  page.section("What the heatmaps look like");
  page.html(
      "<p class=\"legend\">evidence against<span></span>evidence for the predicted class; each heatmap is "
      "scaled by itself</p>");
  std::string grid = fmt::format(
      "<div class=\"heatmaps\" style=\"grid-template-columns:repeat({},minmax(var(--cell),1fr))\">\n<div "
      "class=\"column\">input</div>",
      r.shown.size() + 1);
  for (const auto& [role, recipe] : r.shown)
    grid += fmt::format("<div class=\"column\">{}: {}</div>", escape(role), code(recipe));
  std::vector<std::string> rows(r.exhibits.size());
  try_parallel_for(static_cast<std::int64_t>(rows.size()), [&](std::int64_t i) {
    rows[static_cast<std::size_t>(i)] = exhibit(r, r.exhibits[static_cast<std::size_t>(i)]);
  });
  for (const std::string& row : rows) grid += row;
  page.html(grid + "\n</div>");
}

const RankedRecipe* find(const SelectReport& r, const std::string& recipe) {
  const auto it = std::ranges::find(r.ranking, recipe, &RankedRecipe::recipe);
  return it == r.ranking.end() ? nullptr : &*it;
}

void add_curves(Page& page, const SelectReport& r) {
  nlohmann::json sets = nlohmann::json::array();
  std::size_t points = 0;
  int colour = 0;
  bool dashed = false;
  for (const auto& [role, recipe] : r.shown) {
    const RankedRecipe* entry = find(r, recipe);
    if (entry == nullptr) continue;
    for (const auto& [name, curve] : entry->curves) {
      if (curve.size() < 2 || std::ranges::none_of(curve, [](double v) { return std::isfinite(v); }))
        continue;
      nlohmann::json data = nlohmann::json::array();
      for (double v : curve) data.push_back(std::isfinite(v) ? nlohmann::json(v) : nlohmann::json(nullptr));
      nlohmann::json set{{"label", fmt::format("{} ({})", recipe,
                                               name == "morf"   ? "most relevant first"
                                               : name == "lerf" ? "least relevant first"
                                                                : name)},
                         {"data", data},
                         {"colour", colour}};
      if (name == "lerf") set["borderDash"] = {6, 4}, dashed = true;
      sets.push_back(set);
      points = std::max(points, curve.size());
    }
    ++colour;
  }
  if (sets.empty()) return;  // metrics without curves
  nlohmann::json labels = nlohmann::json::array();
  for (std::size_t k = 0; k < points; ++k)
    labels.push_back(
        fmt::format("{:.0f} %", 100.0 * static_cast<double>(k) / static_cast<double>(points - 1)));
  page.section(dashed ? "Flipping curves" : "Curves");
  page.text(
      dashed
          ? "The target's score while patches are removed, averaged over the images. A good explanation "
            "makes "
            "the solid line fall at once (most relevant first) and keeps the dashed line up (least relevant "
            "first); the area between the two is the score of the ranking."
          : "What the objective saw on its way, averaged over the images.");
  page.chart(
      {{"type", "line"},
       {"data", {{"labels", labels}, {"datasets", sets}}},
       {"options",
        {{"scales",
          {{"x",
            {{"title",
              {{"display", true}, {"text", dashed ? "share of the image removed" : "along the curve"}}}}},
           {"y", {{"title", {{"display", true}, {"text", dashed ? "score of the target" : "value"}}}}}}},
         {"plugins", {{"legend", {{"position", "bottom"}}}}}}}},
      dashed ? "Score of the target against the share of the image removed, for the shown recipes"
             : "Curves of the objective, for the shown recipes");
}

void add_diagnostics(Page& page, const SelectReport& r) {
  if (r.diagnostics.empty()) return;
  page.section("Axioms and other properties");
  page.text(
      "Means over images, in brackets their 95 % intervals. They are no part of the ranking: `uniform` "
      "passes conservation and continuity and "
      "says nothing.");
  std::vector<std::string> header{"recipe"};
  std::vector<bool> numeric{false};
  for (const Diagnostic& d : r.diagnostics) {
    header.push_back(fmt::format("{} ({}, {} images)", d.name.substr(0, d.name.find(':')),
                                 d.better.substr(0, d.better.find(' ')), d.images));
    numeric.push_back(true);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& e : r.ranking) {
    rows.push_back({code(e.recipe)});
    for (const Estimate& v : e.diagnostics)
      rows.back().push_back(std::isfinite(v.low)
                                ? fmt::format("{} [{}, {}]", number(v.mean), number(v.low), number(v.high))
                                : number(v.mean));
  }
  page.table(header, rows, numeric);
  std::string list = "<details><summary>What they measure</summary><dl>";
  for (const Diagnostic& d : r.diagnostics)
    list += fmt::format("<dt>{}</dt><dd>{} Unit: {}; {}.</dd>", code(d.name), escape(d.about), escape(d.unit),
                        escape(d.better));
  page.html(list + "</dl></details>");
  if (r.agreement.size() < 2) return;
  // Under no agreement, τ of n items has this standard deviation (Kendall 1938).
  const auto n = static_cast<double>(r.ranking.size());
  page.text(fmt::format(
      "Do the measures agree on the order of the recipes? Kendall's τ of the mean scores of {} recipes, 1 "
      "for the "
      "same order, 0 for none, −1 for the opposite. Orders that had nothing to do with each other would give "
      "values within ±{:.2f} in 95 % of all cases; the means themselves are uncertain, too:",
      r.ranking.size(), 1.96 * std::sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))));
  std::vector<std::string> head{""};
  std::vector<bool> numbers{false};
  rows.clear();
  for (std::size_t i = 0; i < r.agreement.size(); ++i) {
    const std::string& name = r.agreement_names[i];
    head.push_back(name.substr(0, name.find(':')));
    numbers.push_back(true);
    rows.push_back({escape(head.back())});
    for (double v : r.agreement[i])
      rows.back().push_back(std::isfinite(v) ? fmt::format("{:.2f}", v) : "n/a");
  }
  page.table(head, rows, numbers);
}

void add_trust(Page& page, const SelectReport& r) {
  if (r.trusted.empty()) return;
  page.section("Can the measures be trusted?");
  page.text(
      "A measure that orders the recipes differently on every image, or that does not tell an explanation "
      "from "
      "noise, decides nothing. Images agree: Krippendorff's α of their orders of the explanations (1: all "
      "alike, "
      "0: random). Halves agree: Kendall's τ between the orders by two halves of the images. Both leave the "
      "controls out, which are far off and would raise them; in brackets with the controls. Above random: "
      "chance "
      "that an explanation scores better than the control `random` on an image (0.5: no better than noise).");
  const auto both = [](double without, double with) {
    return std::isfinite(with) ? fmt::format("{} ({})", number(without, 2), number(with, 2))
                               : number(without, 2);
  };
  std::vector<std::vector<std::string>> rows;
  for (const TrustedMetric& m : r.trusted)
    rows.push_back({code(m.name), both(m.between_images, m.between_images_with_controls),
                    both(m.split_half, m.split_half_with_controls), number(m.above_random, 2)});
  page.table({"measure", "images agree", "halves agree", "above random"}, rows, {false, true, true, true});
  if (r.varied.empty()) return;
  page.text(
      "The objective has settings that others would choose differently. Kendall's τ says how alike the "
      "explanations are ordered with another setting, on the same few images (with 95 % bootstrap "
      "intervals):");
  rows.clear();
  for (const VariedObjective& v : r.varied)
    rows.push_back({code(v.name), number(v.agreement.mean, 2),
                    fmt::format("{} … {}", number(v.agreement.low, 2), number(v.agreement.high, 2)),
                    code(v.best)});
  page.table({"other setting", "agreement", "95 % interval", "its best recipe"}, rows,
             {false, true, true, false});
}

void add_facts(Page& page, const SelectReport& r) {
  constexpr std::size_t kMostSkipped = 100;
  page.section("Use it");
  page.html("<pre>" + escape(r.recipe_toml) + "</pre>");
  page.section("How this was computed");
  std::string list = "<dl>";
  for (const auto& [name, value] : r.facts)
    list += fmt::format("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
  page.html(list + "</dl>");
  if (!r.skipped.empty()) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& [file, reason] : r.skipped) {
      if (rows.size() == kMostSkipped) break;
      rows.push_back({code(file), escape(reason)});
    }
    page.text(r.skipped.size() > kMostSkipped
                  ? fmt::format("{} files were left out; the first {}:", r.skipped.size(), kMostSkipped)
                  : "Files that were left out:");
    page.table({"file", "reason"}, rows, {});
  }
  page.section("What this does not say");
  page.text(
      "The ranking holds for this network, these images and this way of removing pixels; another imputer can "
      "change it. A faithful heatmap shows what the network uses, which need "
      "not be what a person would use. Scores of the winner are inflated by having won; the confirmation on "
      "images that selection did not see is not. Error rates and intervals hold for a number of images that "
      "was "
      "fixed beforehand: who looks at a result, adds images and stops when he likes it errs far more often.");
}

}  // namespace

std::string render(const SelectReport& r) {
  Page page(fmt::format("Which explanation of {} to trust", r.model), headline(r),
            !r.beats_controls || !r.confirms || r.images < 2);
  if (!r.caveat.empty()) page.text(r.caveat);
  for (const std::string& line : r.warnings) page.text("Warning: " + line + ".");
  add_heatmaps(page, r);
  add_ranking(page, r);
  add_controls(page, r);
  add_curves(page, r);
  add_diagnostics(page, r);
  add_trust(page, r);
  add_facts(page, r);
  return page.render();
}

}  // namespace heatproof::report
