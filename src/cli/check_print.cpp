#include "cli/check_print.h"

#include <fmt/format.h>

#include <cmath>

#include "cli/common.h"
#include "cli/messages.h"

namespace heatproof::cli {

namespace {

/// One row of the axioms; what there is only of several samples is left out of one.
void print_axiom(bool many, std::string_view name, std::string_view mean, std::string_view interval,
                 std::string_view least, std::string_view most, std::string_view uniform,
                 std::string_view ideal) {
  show("{:<52} {:>11}", name, mean);
  if (many) show(" {:<24} {:>11} {:>11}", interval, least, most);
  show(" {:>11}  {}\n", uniform, ideal);
}

std::string number(double v) { return std::isnan(v) ? std::string("n/a") : fmt::format("{:.5g}", v); }

void print_ledger(const Recipe& recipe, const std::vector<report::LedgerRow>& ledger) {
  if (ledger.empty()) {
    show("\nNo layer-by-layer sums: {} does not propagate relevance.\n", recipe.method->name);
    return;
  }
  show(
      "\n{}, layer by layer (means over samples; created: by stabilizers)\n{:<18} {:<24} {:>11} {:>11} "
      "{:>11} {:>11} {:>11}  {}\n",
      report::derivative_only(ledger)
          ? "sums of the derivative, which becomes relevance only where the input multiplies it"
          : "relevance",
      "operator", "rule", "entering", "leaving", "biases", "created", "rest", "layer");
  for (const report::LedgerRow& row : ledger)
    show("{:<18} {:<24} {:>11.5g} {:>11.5g} {:>11.3g} {:>11.3g} {:>11.3g}  {}\n", row.op, row.rule,
         row.entering, row.leaving, row.absorbed, row.created, row.rest(), row.layer);
}

}  // namespace

void print_check_text(const Recipe& recipe, std::size_t samples, const std::vector<Axiom>& axioms,
                      const std::vector<LeftOut>& left_out, const std::vector<report::LedgerRow>& ledger) {
  const bool many = samples > 1;
  show("{} on {} sample{}\n\n", recipe.text, samples, many ? "s" : "");
  print_axiom(many, "axiom", many ? "mean" : "measured", "[95 % interval]", "least", "most", "uniform",
              "ideal");
  for (const Axiom& a : axioms)
    print_axiom(many, a.label(), number(a.interval.mean),
                std::isnan(a.interval.low)
                    ? ""
                    : fmt::format("[{}, {}]", number(a.interval.low), number(a.interval.high)),
                number(a.least), number(a.most), number(a.uniform),
                to_string(a.metric.better()) +
                    (a.rewrites() ? fmt::format("  ({} rewritten)", to_string(a.coverage)) : ""));
  for (const LeftOut& l : left_out) show("left out: {}: {}\n", l.metric, l.reason);
  if (many && samples < report::kFewImages)
    show("Intervals over {} samples are rough where scores are skewed; give {} or more.\n", samples,
         report::kFewImages);
  print_ledger(recipe, ledger);
}

void print_check_json(const Recipe& recipe, const std::vector<std::int64_t>& targets,
                      const std::vector<Axiom>& axioms, const std::vector<LeftOut>& left_out,
                      const std::vector<LedgerLine>& ledger, const std::vector<double>* frame_changes,
                      const nlohmann::json& more) {
  nlohmann::json list = nlohmann::json::array();
  for (const Axiom& a : axioms) {
    list.push_back(
        {{"metric", a.label()},
         {"scores", a.scores},
         {"mean", a.interval.mean},
         {"low", a.interval.low},
         {"high", a.interval.high},
         {"uniform", a.uniform},
         {"over_uniform",
          {{"mean", a.over_uniform.mean}, {"low", a.over_uniform.low}, {"high", a.over_uniform.high}}},
         {"ideal", to_string(a.metric.better())},
         {"about", a.text.reading.empty() ? a.text.about : a.text.reading}});
    if (a.rewrites())
      list.back()["rewritten"] = {
          {"places", a.coverage.places}, {"candidates", a.coverage.candidates}, {"of", a.coverage.of}};
  }
  nlohmann::json lines = nlohmann::json::array();
  for (const LedgerLine& line : ledger)
    lines.push_back(
        {{"layer", line.node},
         {"op", line.op},
         {"rule", line.rule},
         {"entering", line.entering},
         {"leaving", line.leaving},
         {"absorbed_by_bias", line.absorbed},
         {"created_by_stabilizers", minus(std::vector<double>(line.stabilized.size(), 0), line.stabilized)}});
  nlohmann::json unmeasured = nlohmann::json::array();
  for (const LeftOut& l : left_out) unmeasured.push_back({{"metric", l.metric}, {"reason", l.reason}});
  nlohmann::json result{{"recipe", recipe.text},
                        {"targets", targets},
                        {"axioms", list},
                        {"left_out", unmeasured},
                        {"ledger", lines}};
  if (frame_changes != nullptr) result["frame_changes"] = *frame_changes;
  result.update(more);
  print_json(result);
}

}  // namespace heatproof::cli
