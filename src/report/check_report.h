// The report of `check`: the axioms on one's own network.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "report/page.h"

namespace heatproof::report {

/// One measured axiom; `uniform`: what relevance spread evenly gets, NaN where it was not measured.
struct MeasuredAxiom {
  std::string metric, about, ideal;
  double mean, low, high, uniform;
};

/// How much the explanation changes when the network is written in another way; NaN where the network has
/// nothing to rewrite.
struct MeasuredRewrite {
  std::string name, about;
  double mean, high;
};

/// Relevance at one layer, means over samples: entering + created by stabilizers = leaving + absorbed by the
/// bias + rest. The rest is what a rule that does not conserve made of it, and rounding.
struct LedgerRow {
  std::string layer, op, rule;
  double entering, leaving, absorbed, created;
  double rest() const { return entering + created - leaving - absorbed; }
};

struct CheckReport {
  std::string model, recipe;
  std::size_t images = 0;
  double conservation = 0;
  double gain = NAN, uniform_gain = NAN;  // relevance gain by removing pixels, of the recipe and of `uniform`
  std::vector<MeasuredAxiom> axioms;
  std::vector<MeasuredRewrite> rewrites;
  std::vector<LedgerRow> ledger;  // from the output to the input
  std::string path;               // what moves in the animation
  std::vector<double> changes;    // of relevance per change of the input, from each frame to the next
  std::vector<Frame> frames;      // input and heatmap, along the path
  std::vector<std::pair<std::string, std::string>> facts;
};

/// The answer in one sentence.
std::string headline(const CheckReport& report);
std::string render(const CheckReport& report);

}  // namespace heatproof::report
