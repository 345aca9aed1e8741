// Implementation invariance: two networks that compute max(x1, x2), and what methods make of them.
#include <fmt/format.h>

#include <cmath>

#include "demo/networks.h"

namespace heatproof::demo {

namespace {

struct Row {
  std::string method, recipe;
  double a1, a2, b1, b2;  // closed forms at x = (1, 2)
};

/// The closed forms of generalized deep Taylor for x2 > x1.
Row generalized(double gamma) {
  const double x1 = 1;
  const double x2 = 2;
  const double d = x2 - gamma * x1;
  return {fmt::format("generalized deep Taylor, γ = {:g}", gamma),
          fmt::format("deep_taylor:gamma={:g},input=same", gamma),
          x1 / 2 - gamma * x1 * (x2 - x1) / (2 * d),
          x2 / 2 + x2 * (x2 - x1) / (2 * d),
          x1 - gamma * x1 * (x2 - x1) / d,
          x2 * (x2 - x1) / d};
}

/// Relevance of x1 over γ in both networks, with the closed forms.
void add_gammas(report::Page& page, const Network& halves, const Network& difference, const Tensor& x) {
  std::vector<double> gammas;
  std::vector<std::vector<double>> series(4);
  for (int k = 0; k <= 20; ++k) {
    gammas.push_back(k / 20.0);
    const Row row = generalized(gammas.back());
    series[0].push_back(row.a1);
    series[1].push_back(row.b1);
    series[2].push_back(explain(halves, {row.recipe}, x, {0})[0].data<float>()[0]);
    series[3].push_back(explain(difference, {row.recipe}, x, {0})[0].data<float>()[0]);
  }
  page.section("From z⁺ to the gradient");
  page.text(
      "Relevance of x₁, the smaller input, over γ: measured, and the closed forms as dashed lines upon it. "
      "The two "
      "implementations agree at γ = 1 only, where deep Taylor is gradient × input and x₁ gets nothing.");
  add_chart(page, {gammas,
                   {"(a), closed form", "(b), closed form", "(a), measured", "(b), measured"},
                   series,
                   "γ",
                   "relevance of x₁",
                   false,
                   {true, true, false, false}});
}

Result run(const Options&) {
  const std::vector<Row> rows = {{"gradient × input", "gradient_x_input", 0, 2, 0, 2},
                                 {"LRP-0", "lrp_0", 0, 2, 0, 2},
                                 {"LRP z⁺", "lrp_zplus", 0.5, 1.5, 1, 1},
                                 generalized(0),
                                 generalized(0.25),
                                 generalized(0.5),
                                 generalized(0.75),
                                 generalized(1)};
  const Network halves = max_by_halves();
  const Network difference = max_by_difference();
  const std::vector<float> values{1, 2};
  const Tensor x = Tensor::of({1, 2}, std::span<const float>(values));
  std::vector<Figure> figures;
  std::vector<std::vector<std::string>> table;
  for (const Row& row : rows) {
    const Tensor a = explain(halves, {row.recipe}, x, {0})[0];
    const Tensor b = explain(difference, {row.recipe}, x, {0})[0];
    const auto at = [](const Tensor& t, std::size_t i) { return static_cast<double>(t.data<float>()[i]); };
    const double expected[] = {row.a1, row.a2, row.b1, row.b2};
    const double measured[] = {at(a, 0), at(a, 1), at(b, 0), at(b, 1)};
    const char* names[] = {"network (a), x₁", "network (a), x₂", "network (b), x₁", "network (b), x₂"};
    std::vector<std::string> cells{row.method};
    for (std::size_t i = 0; i < 4; ++i) {
      figures.push_back({fmt::format("{}: {}", row.method, names[i]), measured[i], expected[i], 1e-4});
      cells.push_back(fmt::format("{:.4f} <small>({:.4f})</small>", measured[i], expected[i]));
    }
    const double change = std::fabs(measured[0] - measured[2]) + std::fabs(measured[1] - measured[3]);
    cells.push_back(change < 1e-4 ? "invariant" : fmt::format("differs by {:.3f}", change));
    table.push_back(std::move(cells));
  }
  const bool holds = all_hold(figures);
  const std::string outcome = holds ? "Gradient × input and LRP-0 do not see how the maximum is computed; z⁺ "
                                      "and generalized deep Taylor do, exactly as "
                                      "theory says."
                                    : "The measured relevances differ from the closed forms.";
  report::Page page = start_page(kInvarianceDemo, outcome, holds);
  page.section("Two networks, one function");
  page.text(
      "For inputs that are not negative, both compute max(x₁, x₂): (a) ½·relu(x₁ − x₂) + ½·relu(x₂ − x₁) + "
      "½·relu(x₁ + x₂), which treats both alike (the better implementation); (b) relu(x₁) + relu(x₂ − x₁) "
      "(the naive "
      "one). Relevances at x = (1, 2), where the output is 2, with the closed form "
      "in brackets:");
  page.table({"method", "(a) x₁", "(a) x₂", "(b) x₁", "(b) x₂", ""}, table,
             {false, true, true, true, true, false});
  add_gammas(page, halves, difference, x);
  page.section("What it shows");
  page.text(
      "Implementation invariance and a plausible split of relevance pull in different directions: the "
      "gradient gives everything to "
      "x₂ although x₁ takes part in the computation; z⁺ shares, and how it shares depends on the way the "
      "maximum was written. γ moves "
      "between the two.");
  return {outcome, holds, std::move(page), {{"figures", to_json(figures)}}};
}

}  // namespace

const Demo kInvarianceDemo = {
    "invariance",
    "Gradient-based explanations do not depend on how a function is implemented; propagation rules do.",
    "Samek, Montavon, Müller; Sundararajan et al. 2017",
    run,
};

}  // namespace heatproof::demo
