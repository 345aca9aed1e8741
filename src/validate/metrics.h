// Every metric: one declaration each, defined in the file of its name.
#pragma once

#include "validate/metric.h"

namespace heatproof {

extern const Metric kPixelFlipping;
extern const Metric kRegionPerturbation, kSelectivity;
extern const Metric kFaithfulnessCorrelation, kFaithfulnessEstimate;
extern const Metric kMonotonicity, kMonotonicityCorrelation;
extern const Metric kInfidelity;
extern const Metric kRoad;
extern const Metric kSufficiency;
extern const Metric kCompleteness, kNonSensitivity;
extern const Metric kImplementationInvariance;
extern const Metric kMprt;
extern const Metric kConservation, kPositivity;
extern const Metric kContinuity;
extern const Metric kMaxSensitivity, kAvgSensitivity, kLocalLipschitzEstimate;
extern const Metric kSparseness, kComplexity, kEffectiveComplexity;
extern const Metric kPointingGame, kRelevanceMassAccuracy, kRelevanceRankAccuracy;
extern const Metric kTopKIntersection, kAttributionLocalisation, kAuc;

}  // namespace heatproof
