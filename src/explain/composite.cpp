#include "explain/composite.h"

namespace heatproof {

namespace {

const std::vector<std::string> kBiasWords{"keep", "ignore"};

Parameter stabilizer() { return {"epsilon", 1e-6, "stabilizer of the denominator", 0.0}; }
Parameter bias() {
  return {"bias", std::string("keep"), "whether biases take part in the denominator", {}, {}, kBiasWords};
}

}  // namespace

const std::vector<RuleDeclaration>& rule_declarations() {
  static const std::vector<RuleDeclaration> rules{
      {"gradient", {}, "the derivative, as in backpropagation"},
      {"pass", {}, "relevance goes through unchanged: activations, factors, signs, normalization"},
      {"guided", {}, "guided backpropagation's ReLU"},
      {"deconvnet", {}, "the deconvnet's ReLU"},
      {"norm", {stabilizer()}, "shares in proportion to the terms of a sum, difference or average"},
      {"epsilon", {stabilizer(), bias()}, "LRP-0 and LRP-epsilon"},
      {"gamma",
       {{"gamma", 0.25, "extra weight of what agrees with the output", 0.0}, stabilizer(), bias()},
       "LRP-gamma"},
      {"zplus", {stabilizer(), bias()}, "only contributions that excite"},
      {"alpha_beta",
       {{"alpha", 2.0, "weight of excitation", 1.0},
        {"beta", 1.0, "weight of inhibition", 0.0},
        stabilizer(),
        bias()},
       "LRP-alpha-beta"},
      {"w2", {stabilizer(), bias()}, "squared weights"},
      {"flat", {stabilizer()}, "evenly over connected inputs"},
      {"zbox", {stabilizer()}, "for inputs in a box"},
      {"deep_taylor",
       {{"gamma", 0.0, "share of inhibition in the search direction", 0.0, 1.0}, stabilizer(), bias()},
       "generalized deep Taylor decomposition"},
  };
  return rules;
}

const Composite& gradients() {
  static const Composite composite{{"any", "gradient"}};
  return composite;
}

}  // namespace heatproof
