// What `check` measures when nothing else is asked for, and how its rows are to be read.
#pragma once

#include <string>
#include <vector>

#include "explain/equivalents.h"
#include "select/statistics.h"
#include "validate/metric.h"

namespace heatproof::cli {

/// How a row of `check` is explained: rows of a group share its title and what it is about.
struct AxiomText {
  std::string group, about;
  std::string reading;  // of this row alone; empty where `about` says it
};

struct AxiomRow {
  std::string metric;
  AxiomText text;
};

/// A row that could not be measured, and why.
struct LeftOut {
  std::string metric, reason;
};

/// The axioms, in the order of the page: those that the inputs allow, with patches and shifts of their size,
/// and the metrics of localisation where there are masks.
struct AboutInputs {
  Shape shape;  // of one, with a leading 1
  bool masks = false;
  double range = 1;  // from black to white, or of their values
};
std::vector<AxiomRow> axioms_of(const AboutInputs& inputs, std::vector<LeftOut>& left_out);

/// Metrics that were asked for, as they declare themselves.
AxiomRow row_of_metric(const std::string& metric);

/// A row as measured.
struct Axiom {
  MetricSpec metric;
  AxiomText text;
  std::vector<double> scores;
  Interval interval;  // of the mean over images
  double least, most;
  double uniform;         // mean of the control; NaN where there is none
  Interval over_uniform;  // how much better than the control, paired by image; positive: better
  Coverage coverage;      // of implementation invariance: how much of the network was rewritten

  bool rewrites() const { return !coverage.of.empty(); }
  /// The metric; of rewrites always with the rewrite's name.
  std::string label() const;
};

/// Scores of a row, as far as it was measured.
struct RowScores {
  AxiomRow row;
  std::vector<double> scores, control;

  /// Measures some samples. uniform: the control, or null.
  void add(const Evaluation& evaluation, const Evaluation* uniform);
  Axiom axiom(const Network& network, std::uint64_t seed) const;
};

}  // namespace heatproof::cli
