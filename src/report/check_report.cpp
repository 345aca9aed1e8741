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

void add_axioms(Page& page, const CheckReport& r) {
  page.section("The axioms");
  page.text(
      "Each row is measured on the network and inputs at hand. `uniform` spreads the score evenly over all "
      "pixels and "
      "explains nothing: an axiom that it passes, too, is no evidence. Only the rows that remove pixels and "
      "watch the score "
      "(selectivity) expose it.");
  std::vector<std::vector<std::string>> rows;
  for (const MeasuredAxiom& a : r.axioms)
    rows.push_back({fmt::format("<code>{}</code><br>{}", escape(a.metric), escape(a.about)),
                    number(a.mean, 4), number(a.low, 4), number(a.high, 4), number(a.uniform, 4),
                    escape(a.ideal)});
  page.table({"axiom", "mean", "least", "most", "uniform", "ideal"}, rows,
             {false, true, true, true, true, false});
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
                    number(w.high, 3), w.high < kUnchanged ? "invariant" : "changes"});
  page.table({"rewrite", "what it does", "mean", "most", ""}, rows, {false, false, true, true, false});
}

nlohmann::json ledger_chart(const CheckReport& r) {
  const double output = r.ledger.front().entering == 0 ? 1 : r.ledger.front().entering;
  nlohmann::json labels = nlohmann::json::array();
  std::vector<std::vector<double>> series(3);
  for (std::size_t k = 0; k < r.ledger.size(); ++k) {
    const LedgerRow& row = r.ledger[k];
    labels.push_back(fmt::format("{} {}", k + 1, row.op));
    series[0].push_back(row.leaving / output);
    series[1].push_back(row.absorbed / output);
    series[2].push_back(row.rest() / output);
  }
  nlohmann::json sets = nlohmann::json::array();
  const std::vector<std::pair<const char*, int>> names{
      {"handed on", 0}, {"absorbed by biases", 3}, {"stabilizers and the rest", 1}};
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
      "What enters a layer from above is handed on, absorbed by its biases, or lost to (negative: created "
      "by) stabilizers and "
      "rules that do not conserve.");
  page.chart(ledger_chart(r), "Relevance handed on, absorbed by biases, and lost, for every layer");
  std::vector<std::vector<std::string>> rows;
  for (const LedgerRow& row : r.ledger)
    rows.push_back({escape(row.op), fmt::format("<code>{}</code>", escape(row.rule)), number(row.entering, 4),
                    number(row.leaving, 4), number(row.absorbed, 3), number(row.rest(), 3),
                    escape(row.layer)});
  page.html("<details><summary>all layers</summary>");
  page.table({"operator", "rule", "entering", "leaving", "biases", "rest", "layer"}, rows,
             {false, false, true, true, true, true, false});
  page.html("</details>");
}

}  // namespace

std::string headline(const CheckReport& r) {
  std::string text = fmt::format("`{}` distributes {} times the score", r.recipe, number(r.conservation, 3));
  if (!r.rewrites.empty())
    text += fmt::format(", and stays what it is in {} of {} rewritings of the network", unchanged(r),
                        r.rewrites.size());
  return text + ".";
}

std::string render(const CheckReport& r) {
  Page page(fmt::format("check {}", r.model), headline(r));
  add_axioms(page, r);
  if (!r.frames.empty()) {
    page.section("Along a path: " + r.path);
    page.text(
        "The input changes a little from frame to frame; an explanation that can be trusted changes a "
        "little, too.");
    page.animation({"input", r.recipe}, r.frames);
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
