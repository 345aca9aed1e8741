#include "report/check_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace heatproof::report {

namespace {

constexpr double kUnchanged = 1e-3;  // dissimilarity that rounding alone may cause

std::size_t unchanged(const CheckReport& r) {
  return static_cast<std::size_t>(std::ranges::count_if(
      r.rewrites, [](const MeasuredRewrite& w) { return w.measured.most < kUnchanged; }));
}

std::size_t rewritten(const CheckReport& r) {
  return static_cast<std::size_t>(std::ranges::count_if(
      r.rewrites, [](const MeasuredRewrite& w) { return !std::isnan(w.measured.most); }));
}

/// "mean [low, high]".
std::string estimate_text(const Estimate& e, int digits) {
  if (!std::isfinite(e.low)) return number(e.mean, digits);
  return fmt::format("{} [{}, {}]", number(e.mean, digits), number(e.low, digits), number(e.high, digits));
}

/// "lower", "higher" or "1".
std::string ideal_word(const std::string& ideal) { return ideal.substr(0, ideal.find(' ')); }

/// 1 where the explanation is better than `uniform` by the paired interval (of one image: as measured), -1
/// where uniform is, 0 where they cannot be told apart, also where all that differs is rounding.
int against_uniform(const MeasuredAxiom& a, bool many) {
  const double rounding = 1e-4 * std::max(std::fabs(a.measured.mean.mean), std::fabs(a.uniform));
  const Estimate& e = a.over_uniform;
  if (!(std::fabs(e.mean) > rounding)) return 0;
  if (!many) return e.mean > 0 ? 1 : -1;
  return e.low > 0 ? 1 : e.high < 0 ? -1 : 0;
}

/// Which rows tell the explanation from `uniform`.
std::string told_apart(const CheckReport& r) {
  std::string lists[3];
  for (const MeasuredAxiom& a : r.axioms) {
    if (std::isnan(a.over_uniform.mean)) continue;
    std::string& list = lists[against_uniform(a, r.images > 1) + 1];
    list += fmt::format("{}`{}`", list.empty() ? "" : ", ", a.metric);
  }
  const bool many = r.images > 1;
  std::string text;
  const auto add = [&](const std::string& list, const std::string& start) {
    if (!list.empty()) text += fmt::format(" {}: {}.", start, list);
  };
  add(lists[2], fmt::format("`{}` is better than `uniform` in", r.recipe));
  add(lists[0], "`uniform` is better in");
  add(lists[1], many ? "They cannot be told apart in" : "They are equal in");
  if (text.empty()) return "";
  return (many ? " Image by image, each row by itself:" : " On this one image, which proves nothing:") + text;
}

std::vector<std::string> axiom_row(const MeasuredAxiom& a, bool many) {
  std::string name = fmt::format("<code>{}</code>", escape(a.metric));
  if (!a.reading.empty()) name += "<br>" + escape(a.reading);
  std::vector<std::string> row{name, estimate_text(a.measured.mean, 3)};
  if (many) row.insert(row.end(), {number(a.measured.least, 3), number(a.measured.most, 3)});
  row.insert(row.end(), {number(a.uniform, 3), escape(ideal_word(a.ideal))});
  return row;
}

void add_axioms(Page& page, const CheckReport& r) {
  page.section("The axioms");
  const bool many = r.images > 1;
  std::string text = "Each row is measured on the network and inputs at hand";
  if (many) text += "; in brackets, " + intervals_over(r.images);
  page.text(text +
            ". `uniform` spreads the score evenly over all pixels and explains nothing: a row in which "
            "it does as well is no evidence for an explanation." +
            told_apart(r));
  if (r.unprepared)
    page.text(
        "Nothing said how photos become this network's input (MODEL.toml, or --range, --mean and --std): "
        "they "
        "were fed as values from 0 to 1. If the network was trained on others, all that is measured here is "
        "beside the point.");
  std::vector<std::string> header{"axiom", many ? "mean" : "measured"};
  if (many) header.insert(header.end(), {"least", "most"});
  header.insert(header.end(), {"uniform", "better"});
  std::vector<bool> numeric(header.size(), true);
  numeric.front() = numeric.back() = false;
  std::vector<std::vector<std::string>> rows;
  for (std::size_t k = 0; k < r.axioms.size(); ++k) {
    if (k == 0 || r.axioms[k].group != r.axioms[k - 1].group)
      rows.push_back(
          {fmt::format("<strong>{}</strong><br>{}", escape(r.axioms[k].group), escape(r.axioms[k].about))});
    rows.push_back(axiom_row(r.axioms[k], many));
  }
  page.table(header, rows, numeric);
  for (const auto& [metric, reason] : r.left_out)
    page.text(fmt::format("Left out: `{}`: {}.", metric, reason));
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
    rows.push_back({fmt::format("<code>{}</code>", escape(w.name)), escape(w.about), escape(w.coverage),
                    estimate_text(w.measured.mean, 3), number(w.measured.most, 3), number(w.uniform, 3),
                    std::isnan(w.measured.most)    ? "nothing to rewrite"
                    : w.measured.most < kUnchanged ? "invariant"
                                                   : "changes"});
  page.table({"rewrite", "what it does", "rewritten", "mean", "most", "uniform", ""}, rows,
             {false, false, false, true, true, true, false});
}

/// A layer's name, of long ones the end, or what it computes where it has none.
std::string label_of(const LedgerRow& row) {
  constexpr std::size_t kLongest = 24;
  if (row.layer.empty()) return row.op;
  if (row.layer.size() <= kLongest) return row.layer;
  // Not in the middle of a character of several bytes.
  std::size_t start = row.layer.size() - kLongest + 1;
  while (start < row.layer.size() && (static_cast<unsigned char>(row.layer[start]) & 0xC0) == 0x80) ++start;
  return "…" + row.layer.substr(start);
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
    labels.push_back(label_of(row));
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

void add_ledger_table(Page& page, const CheckReport& r) {
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

void add_ledger(Page& page, const CheckReport& r) {
  page.section("Relevance, layer by layer");
  if (r.ledger.empty()) {
    page.text("`" + r.recipe + "` does not propagate relevance from layer to layer, so there is no ledger.");
    return;
  }
  if (derivative_only(r.ledger)) {
    page.text(fmt::format(
        "`{}` hands on the derivative, which becomes relevance only where the input multiplies it: these are "
        "sums of the derivative over each layer, with no books to keep. What biases contribute to the score, "
        "b·∂f/∂b, is in no row; it is missing from the sum of relevance, which is {} times the score.",
        r.recipe, number(r.conservation, 3)));
    add_ledger_table(page, r);
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
  add_ledger_table(page, r);
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

bool derivative_only(const std::vector<LedgerRow>& ledger) {
  return !ledger.empty() &&
         std::ranges::all_of(ledger, [](const LedgerRow& row) { return row.rule == "gradient"; });
}

std::string headline(const CheckReport& r) {
  std::string text = fmt::format("`{}` distributes {} times the score", r.recipe, number(r.conservation, 3));
  if (rewritten(r) > 0)
    text += fmt::format(", and stays what it is in {} of {} rewritings of the network", unchanged(r),
                        rewritten(r));
  text += ".";
  if (!std::isnan(r.gain.mean))
    text += fmt::format(" Its relevance gain by removing pixels is {}", estimate_text(r.gain, 3));
  if (!std::isnan(r.gain.mean))
    text += std::isnan(r.uniform_gain)
                ? "."
                : fmt::format("; that of `uniform`, which says nothing, {}.", number(r.uniform_gain, 2));
  return text;
}

std::string render(const CheckReport& r) {
  Page page(fmt::format("check {}", r.model), headline(r));
  for (const std::string& line : r.warnings) page.text("Warning: " + line + ".");
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
