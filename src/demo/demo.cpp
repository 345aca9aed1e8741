#include "demo/demo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/spec.h"
#include "heatproof/error.h"

namespace heatproof::demo {

const std::vector<const Demo*>& demos() {
  // One line per demonstration.
  static const std::vector<const Demo*> all{
      &kConservationDemo, &kDepthDemo,         &kContinuityDemo, &kInvarianceDemo,
      &kBlindspotDemo,    &kPixelFlippingDemo, &kSelectionDemo,  &kCleverHansDemo,
  };
  return all;
}

const Demo& find_demo(const std::string& name) {
  std::vector<std::string> known;
  for (const Demo* demo : demos()) {
    if (demo->name == name) return *demo;
    known.push_back(demo->name);
  }
  const std::string near = nearest(name, known);
  throw UsageError(fmt::format("unknown demo '{}'{}; known are {}", name,
                               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
                               fmt::join(known, ", ")));
}

report::Page start_page(const Demo& demo, const std::string& outcome, bool holds) {
  report::Page page("heatproof demo: " + demo.name, outcome, !holds);
  page.section("The claim");
  page.text(fmt::format("{} ({})", demo.claim, demo.source));
  return page;
}

std::string interval_text(const Interval& i, int digits) {
  return fmt::format("{} [{}, {}]", report::number(i.mean, digits), report::number(i.low, digits),
                     report::number(i.high, digits));
}

void add_figures(report::Page& page, const std::vector<Figure>& figures) {
  std::vector<std::vector<std::string>> rows;
  const auto value = [](const Figure& f, double v) {
    return f.question ? std::string(v == 1 ? "yes" : "no") : report::number(v, 6);
  };
  for (const Figure& f : figures)
    rows.push_back(
        {report::escape(f.name), value(f, f.measured), value(f, f.expected), f.holds() ? "yes" : "no"});
  page.table({"figure", "measured", "expected", "holds"}, rows, {false, true, true, false});
}

void add_chart(report::Page& page, const LineChart& chart) {
  nlohmann::json sets = nlohmann::json::array();
  for (std::size_t k = 0; k < chart.names.size(); ++k) {
    nlohmann::json points = nlohmann::json::array();
    for (std::size_t i = 0; i < chart.positions.size(); ++i)
      points.push_back({{"x", chart.positions[i]}, {"y", chart.series[k][i]}});
    sets.push_back({{"label", chart.names[k]}, {"data", points}, {"colour", k}});
    if (k < chart.dashed.size() && chart.dashed[k]) sets.back()["borderDash"] = {7, 5};
  }
  const auto title = [](const std::string& text) {
    return nlohmann::json{{"display", true}, {"text", text}};
  };
  page.chart(
      {{"type", "line"},
       {"data", {{"datasets", sets}}},
       {"options",
        {{"scales",
          {{"x",
            {{"type", "linear"},
             {"min", chart.positions.front()},
             {"max", chart.positions.back()},
             {"title", title(chart.x)}}},
           {"y", {{"type", chart.logarithmic ? "logarithmic" : "linear"}, {"title", title(chart.y)}}}}},
         {"plugins", {{"legend", {{"position", "bottom"}, {"display", sets.size() > 1}}}}}}}},
      chart.y + " against " + chart.x);
}

nlohmann::json to_json(const std::vector<Figure>& figures) {
  nlohmann::json list = nlohmann::json::array();
  for (const Figure& f : figures)
    list.push_back(
        {{"name", f.name}, {"measured", f.measured}, {"expected", f.expected}, {"holds", f.holds()}});
  return list;
}

nlohmann::json to_json(const Interval& i) { return {{"mean", i.mean}, {"low", i.low}, {"high", i.high}}; }

bool all_hold(const std::vector<Figure>& figures) { return std::ranges::all_of(figures, &Figure::holds); }

}  // namespace heatproof::demo
