// What `check` measures when nothing else is asked for, and how its rows are to be read.
#pragma once

#include <string>
#include <vector>

#include "validate/metric.h"

namespace heatproof::cli {

/// How a row of `check` is explained: rows of a group share its title and what it is about.
struct AxiomText {
  std::string group, about;
  std::string reading;  // of this row alone; empty where `about` says it
};

/// The axioms, in the order of the page. small: inputs of few values, on which more is affordable.
std::vector<std::string> axioms_of(bool image, bool small);

/// Of the axioms as written for them, of other metrics as they declare themselves.
AxiomText text_of(const MetricSpec& metric);

}  // namespace heatproof::cli
