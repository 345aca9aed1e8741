// What `check` prints.
#pragma once

#include "cli/check_axioms.h"
#include "explain/explainer.h"
#include "report/check_report.h"

namespace heatproof::cli {

void print_check_text(const Recipe& recipe, std::size_t samples, const std::vector<Axiom>& axioms,
                      const std::vector<LeftOut>& left_out, const std::vector<report::LedgerRow>& ledger);

/// frame_changes: of relevance along a video, where the samples are one; else null.
void print_check_json(const Recipe& recipe, const std::vector<std::int64_t>& targets,
                      const std::vector<Axiom>& axioms, const std::vector<LeftOut>& left_out,
                      const std::vector<LedgerLine>& ledger, const std::vector<double>* frame_changes,
                      const nlohmann::json& more);

}  // namespace heatproof::cli
