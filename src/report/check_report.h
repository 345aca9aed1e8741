// The report of `check`: the axioms on one's own network.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "report/page.h"
#include "report/select_report.h"

namespace heatproof::report {

/// Over the images: the mean with its interval, and the extremes.
struct Measured {
  Estimate mean;
  double least, most;
};

/// One measured axiom. Rows of a group follow each other and share what they are about; `reading` is of the
/// row alone. `uniform`: what relevance spread evenly gets, NaN where it was not measured.
struct MeasuredAxiom {
  std::string group, about, metric, reading, ideal;
  Measured measured;
  double uniform;
  Estimate over_uniform{NAN, NAN, NAN};  // how much better than uniform, paired by image
};

/// How much the explanation changes when the network is written in another way; NaN where the network has
/// nothing to rewrite.
struct MeasuredRewrite {
  std::string name, about;
  Measured measured;
  double uniform = NAN;
  std::string coverage = {};  // how much of the network was rewritten
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
  Estimate gain{NAN, NAN, NAN};  // relevance gain by removing pixels, of the recipe
  double uniform_gain = NAN;     // and of `uniform`
  std::vector<MeasuredAxiom> axioms;
  std::vector<std::pair<std::string, std::string>> left_out;  // axiom, why it could not be measured
  bool unprepared = false;                                    // photos, and nobody said how to prepare them
  std::vector<MeasuredRewrite> rewrites;
  std::vector<LedgerRow> ledger;  // from the output to the input
  std::string path;               // what moves in the animation
  std::vector<double> changes;    // of relevance per change of the input, from each frame to the next
  std::vector<Frame> frames;      // input and heatmap, along the path
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::string> warnings;  // why not to rely on it
};

/// True where the derivative is what passes from layer to layer, so that the ledger's sums are no relevance.
bool derivative_only(const std::vector<LedgerRow>& ledger);

/// The answer in one sentence.
std::string headline(const CheckReport& report);
std::string render(const CheckReport& report);

}  // namespace heatproof::report
