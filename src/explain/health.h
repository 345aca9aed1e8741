// The health of explanations, before anything is made of them: relevance is finite, and where the method
// claims to conserve, it sums to about what it explains.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "explain/explainer.h"

namespace heatproof {

/// Relevance of a conserving method that sums to more than so many times what it explains has exploded.
constexpr double kExplosion = 100;

/// Σ of one sample's relevance, in double; NaN where an element is not finite.
double relevance_sum(std::span<const float> relevance);

struct Health {
  std::size_t samples = 0;
  std::vector<std::size_t> not_finite;  // samples whose score or relevance is not
  std::vector<std::size_t> exploded;    // samples; none for methods that do not claim to conserve
  std::size_t worst = 0;                // of those that exploded
  double unit = 0;                      // there: the larger of |score| and its median over the samples
  double ratio = 0;                     // there: |Σ relevance| / unit
};

/// sums: as `relevance_sum`; scores: of the targets. Both one per sample.
Health health_of(const Recipe& recipe, const std::vector<double>& sums, const std::vector<double>& scores);

/// A node at which something goes wrong, with the rule that passes relevance through it.
struct Culprit {
  std::string node, op, rule;
  double factor = 0;  // by which what is on its way grows there
};

/// Of one sample's ledger: the first node from the output that is given finite relevance and hands on other.
/// Nothing where there is none, such as where the output's relevance is not finite already.
std::optional<Culprit> where_finiteness_ends(const std::vector<LedgerLine>& ledger, std::size_t sample);
/// The node at which the sum of all relevance on its way grows most, compared with what it was, or with
/// `unit` where that is more.
std::optional<Culprit> where_it_explodes(const std::vector<LedgerLine>& ledger, std::size_t sample,
                                         double unit);
/// The first node of a network whose value is NaN, or where there is none infinite, though the inputs are
/// finite. Computes every node.
std::optional<Culprit> first_value_not_finite(const Graph& network, const std::vector<Tensor>& inputs);

}  // namespace heatproof
