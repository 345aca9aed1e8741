// What `check` prints.
#pragma once

#include "cli/check_axioms.h"
#include "explain/explainer.h"
#include "report/check_report.h"

namespace heatproof::cli {

void print_check_text(const Recipe& recipe, std::size_t samples, const std::vector<Axiom>& axioms,
                      const std::vector<LeftOut>& left_out, const std::vector<report::LedgerRow>& ledger);

/// frames: the samples are a video's, and how relevance changes along it belongs to the result.
void print_check_json(const Recipe& recipe, const Evaluation& evaluation, const std::vector<Axiom>& axioms,
                      const std::vector<LeftOut>& left_out, const std::vector<LedgerLine>& ledger,
                      bool frames);

}  // namespace heatproof::cli
