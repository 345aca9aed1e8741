// From a selection to what its report shows.
#pragma once

#include "cli/common.h"
#include "report/select_report.h"
#include "select/run.h"
#include "select/selection.h"

namespace heatproof::cli {

/// Everything that the report tells; reads and explains a few images again to show their heatmaps.
report::SelectReport describe(const Session& session, const SelectionData& data,
                              const std::vector<SkippedFile>& skipped, const Selection& selection);

/// Why error rates may not hold: time decided how many images there are. Empty where they do.
std::string caveat_of(const Selection& selection);

/// The photo of a sample, or its array drawn as one; empty when it is no image.
report::Picture picture_of(const Session& session, const InputSet& set, std::size_t sample);
/// A network's input as a photo, with colours in the order in which the network takes them. black, white: its
/// values of them per channel; empty: the least and the largest that there are.
report::Picture drawn(const Session& session, std::span<const float> x, std::vector<double> black = {},
                      std::vector<double> white = {});

/// How photos became inputs, in words.
std::string preprocessing_text(const Session& session, const InputSource& inputs);

/// What parts of a selection have in common, on however many machines they are measured.
Run run_of(const Session& session, const SelectionData& data, const SelectionOptions& options);

}  // namespace heatproof::cli
