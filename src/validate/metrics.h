// Every metric: one declaration each, defined in the file of its name.
#pragma once

#include "validate/metric.h"

namespace heatproof {

extern const Metric kPixelFlipping;
extern const Metric kInsertion, kDeletion;
extern const Metric kRegionPerturbation, kSelectivity;
extern const Metric kFaithfulnessCorrelation, kFaithfulnessEstimate;
extern const Metric kMonotonicity, kMonotonicityCorrelation;
extern const Metric kInfidelity;
extern const Metric kRoad;
extern const Metric kIrof;
extern const Metric kSensitivityN;
extern const Metric kSufficiency;
extern const Metric kCompleteness, kNonSensitivity;
extern const Metric kSensitivityA, kSensitivityB;
extern const Metric kInputInvariance;
extern const Metric kImplementationInvariance;
extern const Metric kMprt, kSmoothMprt, kEfficientMprt;
extern const Metric kRandomLogit;
extern const Metric kConservation, kPositivity;
extern const Metric kContinuity;
extern const Metric kMaxSensitivity, kAvgSensitivity, kLocalLipschitzEstimate;
extern const Metric kRelativeInputStability, kRelativeOutputStability, kRelativeRepresentationStability;
extern const Metric kConsistency;
extern const Metric kSparseness, kComplexity, kEffectiveComplexity;
extern const Metric kPointingGame, kRelevanceMassAccuracy, kRelevanceRankAccuracy;
extern const Metric kTopKIntersection, kAttributionLocalisation, kAuc;
extern const Metric kFocus;
extern const Metric kEvidenceShare;

}  // namespace heatproof
