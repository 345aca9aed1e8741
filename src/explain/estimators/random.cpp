// The control that knows nothing: normal noise from (seed, sample).
#include "base/random.h"
#include "explain/estimators/estimators.h"

namespace heatproof {

namespace {

Estimate estimator(const EstimatorSetup& setup, const Parameters&) {
  return [seed = setup.seed](const Samples& samples) {
    Tensor noise = Tensor::empty(DType::f32, samples.inputs.shape());
    for (std::int64_t n = 0; n < samples.size(); ++n) {
      RandomStream random(seed, {"random"}, samples.ids[static_cast<std::size_t>(n)]);
      for (float& v : noise.rows(n, n + 1).data<float>()) v = static_cast<float>(random.normal());
    }
    return noise;
  };
}

}  // namespace

Method random_noise() {
  return {.name = "random",
          .parameters = {pool_parameter()},
          .about = "normal noise: the control that knows nothing",
          .source = "control",
          .control = true,
          .estimator = estimator};
}

}  // namespace heatproof
