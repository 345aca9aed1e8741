// Removing patches of images by relevance while the target's score is watched: what pixel-flipping, insertion
// and deletion share.
#pragma once

#include <string>

#include "validate/metric.h"

namespace heatproof {

struct Flipping {
  std::int64_t patch = 0;   // side in pixels; 0: about 14 along the longer side
  std::int64_t steps = 14;  // measurements along the curve
  std::string order;        // morf, lerf, random, or symmetric: both of the first
  std::string imputer;
  std::string score;             // logit, probability, difference
  std::string summary = "area";  // area, or aopc: the mean fall
  bool shuffle_ties = true;      // equal patches in random order; false: by index
  std::int64_t orders = 10;      // random orders that are averaged where relevance gives none
};

/// Scores: `summary` of the curve (symmetric: LeRF's minus MoRF's area; for aopc MoRF's fall minus LeRF's).
/// Curves, by order: the score before, and after each step. Where all patches are equal, or the order is to
/// be random, both are means over `orders` orders; the symmetric gain of equal patches is 0 then, since each
/// order is as likely as its reverse.
Scores flip(const Evaluation& e, const Flipping& how);

/// The patches that are gone after each step, [sample][step][patch], and the patches' geometry; for drawing.
struct FlippingPath {
  std::int64_t patch_height, patch_width, rows, cols;
  std::vector<std::int64_t> removed;              // patches gone at step k
  std::vector<std::vector<std::int64_t>> orders;  // per sample: most relevant first
};
FlippingPath flipping_path(const Evaluation& e, const Flipping& how);

}  // namespace heatproof
