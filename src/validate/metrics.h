// Every metric: one declaration each, defined in the file of its name.
#pragma once

#include "validate/metric.h"

namespace heatproof {

extern const Metric kPixelFlipping;
extern const Metric kConservation, kPositivity;
extern const Metric kContinuity;
extern const Metric kSparseness, kComplexity;
extern const Metric kPointingGame, kRelevanceMassAccuracy, kRelevanceRankAccuracy;

}  // namespace heatproof
