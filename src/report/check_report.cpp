#include "report/check_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace heatproof::report {

namespace {

constexpr double kUnchanged = 1e-3;  // dissimilarity that rounding alone may cause

std::size_t unchanged(const CheckReport& r) {
  return static_cast<std::size_t>(
      std::ranges::count_if(r.rewrites, [](const MeasuredRewrite& w) { return w.high < kUnchanged; }));
}

std::size_t rewritten(const CheckReport& r) {
  return static_cast<std::size_t>(
      std::ranges::count_if(r.rewrites, [](const MeasuredRewrite& w) { return !std::isnan(w.high); }));
}

void add_axioms(Page& page, const CheckReport& r) {
  page.section("The axioms");
  page.text(
      "Each row is measured on the network and inputs at hand. `uniform` spreads the score evenly over all "
      "pixels and "
      "explains nothing: an axiom that it passes, too, is no evidence. Only the rows that remove pixels and "
      "watch the score "
      "(selectivity) expose it.");
  const bool many = r.images > 1;
  std::vector<std::string> header{"axiom", many ? "mean" : "measured"};
  if (many) header.insert(header.end(), {"least", "most"});
  header.insert(header.end(), {"uniform", "ideal"});
  std::vector<bool> numeric(header.size(), true);
  numeric.front() = numeric.back() = false;
  std::vector<std::vector<std::string>> rows;
  for (const MeasuredAxiom& a : r.axioms) {
    rows.push_back(
        {fmt::format("<code>{}</code><br>{}", escape(a.metric), escape(a.about)), number(a.mean, 4)});
    if (many) rows.back().insert(rows.back().end(), {number(a.low, 4), number(a.high, 4)});
    rows.back().insert(rows.back().end(), {number(a.uniform, 4), escape(a.ideal)});
  }
  page.table(header, rows, numeric);
}

void add_rewrites(Page& page, const CheckReport& r) {
  if (r.rewrites.empty()) return;
  page.section("Implementation invariance");
  page.text(
      "The network was written in other ways that compute the same function (checked on these inputs). "
      "Dissimilarity is 1 - "
      "cosine between the explanations before and after. Gradients are invariant; rules of relevance "
      "propagation look at how "
      "the function is written, and depend on some of it by design.");
  std::vector<std::vector<std::string>> rows;
  for (const MeasuredRewrite& w : r.rewrites)
    rows.push_back({fmt::format("<code>{}</code>", escape(w.name)), escape(w.about), number(w.mean, 3),
                    number(w.high, 3),
                    std::isnan(w.high)    ? "nothing to rewrite"
                    : w.high < kUnchanged ? "invariant"
                                          : "changes"});
  page.table({"rewrite", "what it does", "mean", "most", ""}, rows, {false, false, true, true, false});
}

nlohmann::json ledger_chart(const CheckReport& r) {
  const double output = r.ledger.front().entering == 0 ? 1 : r.ledger.front().entering;
  nlohmann::json labels = nlohmann::json::array();
  std::vector<std::vector<double>> series(4);
  for (std::size_t k = 0; k < r.ledger.size(); ++k) {
    const LedgerRow& row = r.ledger[k];
    // Activations, reshapes and the like hand everything on.
    const double taken = std::fabs(row.created) + std::fabs(row.absorbed) + std::fabs(row.rest());
    if (taken <= 1e-9 * std::fabs(output)) continue;
    labels.push_back(fmt::format("{} {}", k + 1, row.op));
    series[0].push_back(row.leaving / output);
    series[1].push_back(row.absorbed / output);
    series[2].push_back(-row.created / output);
    series[3].push_back(row.rest() / output);
  }
  nlohmann::json sets = nlohmann::json::array();
  const std::vector<std::pair<const char*, int>> names{
      {"handed on", 0},
      {"absorbed by biases", 3},
      {"absorbed by stabilizers (created, where negative)", 2},
      {"lost by the rule (created, where negative)", 1}};
  for (std::size_t k = 0; k < names.size(); ++k)
    sets.push_back({{"label", names[k].first}, {"data", series[k]}, {"colour", names[k].second}});
  const auto axis = [](const char* title) {
    return nlohmann::json{{"stacked", true}, {"title", {{"display", true}, {"text", title}}}};
  };
  return {{"type", "bar"},
          {"data", {{"labels", labels}, {"datasets", sets}}},
          {"options",
           {{"scales",
             {{"x", axis("layers, from the output to the input")},
              {"y", axis("share of the output's relevance")}}},
            {"plugins", {{"legend", {{"position", "bottom"}}}}}}}};
}

void add_ledger(Page& page, const CheckReport& r) {
  page.section("Relevance, layer by layer");
  if (r.ledger.empty()) {
    page.text("`" + r.recipe + "` does not propagate relevance from layer to layer, so there is no ledger.");
    return;
  }
  page.text(
      "What enters a layer from above is handed on or absorbed by its biases. Stabilizers, which keep small "
      "denominators from exploding, absorb a little or create it; the rest is what rules that do not "
      "conserve "
      "(such as the derivative) make of it, and rounding. Bars are shares of the relevance at the output, "
      "for all layers that take anything; branches that "
      "run side by side share it.");
  page.chart(ledger_chart(r), "Relevance handed on, absorbed by biases, and lost, for every layer");
  std::vector<std::vector<std::string>> rows;
  for (const LedgerRow& row : r.ledger)
    rows.push_back({escape(row.op), fmt::format("<code>{}</code>", escape(row.rule)), number(row.entering, 4),
                    number(row.leaving, 4), number(row.absorbed, 3), number(row.created, 3),
                    number(row.rest(), 3), escape(row.layer)});
  page.html("<details><summary>all layers</summary>");
  page.table({"operator", "rule", "entering", "leaving", "absorbed by biases", "created by stabilizers",
              "rest", "layer"},
             rows, {false, false, true, true, true, true, true, false});
  page.html("</details>");
}

}  // namespace

namespace {

nlohmann::json changes_chart(const CheckReport& r) {
  nlohmann::json labels = nlohmann::json::array();
  nlohmann::json data = nlohmann::json::array({nullptr});  // the first frame has none before it
  for (std::size_t k = 0; k < r.frames.size(); ++k) labels.push_back(k + 1);
  for (double v : r.changes) data.push_back(std::isfinite(v) ? nlohmann::json(v) : nlohmann::json(nullptr));
  const auto title = [](const char* text) {
    return nlohmann::json{{"title", {{"display", true}, {"text", text}}}};
  };
  nlohmann::json y = title("change of relevance per change of the input");
  y["beginAtZero"] = true;
  return {
      {"type", "line"},
      {"data", {{"labels", labels}, {"datasets", {{{"label", r.recipe}, {"data", data}, {"colour", 0}}}}}},
      {"options",
       {{"scales", {{"x", title("frame")}, {"y", y}}}, {"plugins", {{"legend", {{"display", false}}}}}}}};
}

}  // namespace

std::string headline(const CheckReport& r) {
  std::string text = fmt::format("`{}` distributes {} times the score", r.recipe, number(r.conservation, 3));
  if (rewritten(r) > 0)
    text += fmt::format(", and stays what it is in {} of {} rewritings of the network", unchanged(r),
                        rewritten(r));
  text += ".";
  if (!std::isnan(r.gain))
    text += fmt::format(
        " Its relevance gain by removing pixels is {}; that of `uniform`, which says nothing, {}.",
        number(r.gain, 3), number(r.uniform_gain, 2));
  return text;
}

std::string render(const CheckReport& r) {
  Page page(fmt::format("check {}", r.model), headline(r));
  add_axioms(page, r);
  if (!r.frames.empty()) {
    page.section("Along a path: " + r.path);
    page.text(
        "The input changes a little from frame to frame; an explanation that can be trusted changes a "
        "little, too.");
    page.animation({"input", r.recipe}, r.frames, true);
    page.chart(changes_chart(r), "Change of relevance per change of the input, frame by frame");
  }
  add_ledger(page, r);
  add_rewrites(page, r);
  page.section("How it was computed");
  std::string list = "<dl>";
  for (const auto& [name, value] : r.facts)
    list += fmt::format("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
  page.html(list + "</dl>");
  return page.render();
}

}  // namespace heatproof::report
