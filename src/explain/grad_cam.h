// Grad-CAM as a graph.
#pragma once

#include "explain/recipe.h"

namespace heatproof {

/// Channels of one layer, each weighed by its mean gradient, summed and enlarged to the input, the same in
/// all of the input's channels. `layer`: `last_convolution` (BatchNorm folded in), `last_map` (the last value
/// whose channels have more than one position: after the activation that follows), or a pattern of node
/// names. Throws UsageError where the network has no such layer. Selvaraju et al. 2017; captum's
/// LayerGradCam.
Value grad_cam(const MethodInputs& in, const Parameters& p);

}  // namespace heatproof
