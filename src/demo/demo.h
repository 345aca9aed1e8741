// Demonstrations: each measures one claim about explanations, and says whether it came out.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/page.h"
#include "select/statistics.h"

namespace heatproof::demo {

struct Options {
  std::filesystem::path assets;  // the folder with the shipped networks and images
  std::uint64_t seed = 0;
};

/// One number against what theory says of it.
struct Figure {
  std::string name;
  double measured, expected, tolerance;
  bool question = false;  // 1 is yes and 0 no
  bool holds() const { return measured >= expected - tolerance && measured <= expected + tolerance; }
};

struct Result {
  std::string outcome;  // one sentence
  bool holds = false;   // whether the claim came out
  report::Page page;
  nlohmann::json numbers;
};

/// All that a demonstration is.
struct Demo {
  std::string name, claim, source;
  Result (*run)(const Options&);
};

const std::vector<const Demo*>& demos();
/// Throws UsageError naming the nearest.
const Demo& find_demo(const std::string& name);

/// A page that starts with the outcome and the claim.
report::Page start_page(const Demo& demo, const std::string& outcome, bool holds);
/// A yes or no, which should be yes.
inline Figure question(std::string name, bool answer) {
  return {std::move(name), answer ? 1.0 : 0.0, 1, 0, true};
}

/// "mean [low, high]".
std::string interval_text(const Interval& interval, int digits = 3);

/// A table of figures: name, measured, expected.
void add_figures(report::Page& page, const std::vector<Figure>& figures);
/// Lines over common positions along x, to scale. logarithmic: of the y axis. dashed: lines that are theory,
/// or lie upon others.
struct LineChart {
  std::vector<double> positions;
  std::vector<std::string> names;
  std::vector<std::vector<double>> series;
  std::string x, y;
  bool logarithmic = false;
  std::vector<bool> dashed = {};
};
void add_chart(report::Page& page, const LineChart& chart);
nlohmann::json to_json(const std::vector<Figure>& figures);
nlohmann::json to_json(const Interval& interval);
bool all_hold(const std::vector<Figure>& figures);

// One file each.
extern const Demo kConservationDemo, kDepthDemo, kInvarianceDemo, kBlindspotDemo, kSelectionDemo;
extern const Demo kContinuityDemo, kPixelFlippingDemo, kCleverHansDemo;

}  // namespace heatproof::demo
