#include "explain/estimators/estimators.h"

namespace heatproof {

std::vector<Method> estimator_methods() {
  return {
      integrated_gradients(), smoothgrad(), occlusion(), rise(), lime(), kernel_shap(), random_noise(),
  };
}

}  // namespace heatproof
