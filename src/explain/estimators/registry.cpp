#include "explain/estimators/estimators.h"

namespace heatproof {

std::vector<Method> estimator_methods() {
  return {
      integrated_gradients(),
      smoothgrad(),
      occlusion(),
      random_noise(),
  };
}

}  // namespace heatproof
