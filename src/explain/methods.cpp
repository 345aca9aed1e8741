// The table of methods: gradients, composites of relevance propagation, and controls.
#include <algorithm>
#include <cmath>

#include "explain/deeplift.h"
#include "explain/estimators/estimators.h"
#include "explain/grad_cam.h"
#include "explain/recipe.h"
#include "graph/operator.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

Parameter epsilon() { return {"epsilon", 1e-6, "stabilizer of denominators", 0.0}; }
Parameter bias() {
  return {"bias", std::string("keep"), "biases take part in denominators (keep) or do not (ignore)", {},
          {},     {"keep", "ignore"}};
}
Parameter gamma(double otherwise, double most) { return {"gamma", otherwise, "the rule's gamma", 0.0, most}; }
Parameter box_low() { return {"low", std::string("black"), "lowest input value: a number, or black pixels"}; }
Parameter box_high() {
  return {"high", std::string("white"), "highest input value: a number, or white pixels"};
}

/// The value that is explained, and the relevance or gradient it starts with.
struct Seed {
  Value output, relevance;
};

Seed seed(const MethodInputs& in, const Parameters& p, bool relevance) {
  const std::string& kind = p.text("output");
  const Value y = explained(in.forward, p);
  return {y, relevance && kind != "one" ? in.one_hot * y : in.one_hot};
}

Value run(const MethodInputs& in, const Seed& s, const Composite& composite, Value low = {},
          Value high = {}) {
  return propagate({in.forward.input, s.output, s.relevance, low ? low : in.low, high ? high : in.high},
                   composite, {in.ledger, in.rules});
}

Value box_edge(const MethodInputs& in, const std::string& text, const char* name) {
  if (text == "black" || text == "white") return text == "black" ? in.low : in.high;
  const Parameter number{name, 0.0, ""};
  const Parameters p({"box", {{name, text}}}, std::span(&number, 1));
  return in.forward.input.builder().fill({}, static_cast<float>(p.number(name)));
}

template <Composite (*C)(const Parameters&)>
Value lrp(const MethodInputs& in, const Parameters& p) {
  const Value low = p.has("low") ? box_edge(in, p.text("low"), "low") : Value{};
  const Value high = p.has("high") ? box_edge(in, p.text("high"), "high") : Value{};
  return run(in, seed(in, p, true), C(p), low, high);
}

/// "name:epsilon=...,bias=..." with the recipe's parameters.
std::string rule(const std::string& name, const Parameters& p, std::vector<std::string> keys) {
  std::string text = name;
  char separator = ':';
  for (const std::string& key : keys) {
    text += separator + key + "=" + to_string(p.at(key));
    separator = ',';
  }
  return text;
}

/// Rules of sums and averages. `sums=gradient` is zennit's treatment of what networks write as functions:
/// sums, factors, normalization by hand, constant matrices that are no layer.
Composite sharing(const Parameters& p) {
  const std::string norm = "norm:epsilon=" + to_string(p.at("stabilizer"));
  Composite shares;
  if (p.text("sums") == "gradient") {
    for (const char* function : {"standardization", "sum", "scaling", "product"})
      shares.push_back({function, "gradient"});
  } else {
    shares.push_back({"sum", norm});
  }
  shares.push_back({"average_pool", p.text("averages") == "gradient" ? "gradient" : norm});
  return shares;
}

/// What zennit's composites share.
Composite with_base(const Parameters& p, Composite composite) {
  Composite all{{"activation", "pass"}};
  const Composite shares = sharing(p);
  all.insert(all.end(), shares.begin(), shares.end());
  all.push_back({"normalization", "pass"});
  all.insert(all.end(), composite.begin(), composite.end());
  return all;
}

std::string stabilized(const std::string& name, const Parameters& p, const std::string& more = {}) {
  const bool has_bias = name != "flat" && name != "zbox";
  return name + ":epsilon=" + to_string(p.at("stabilizer")) + (has_bias ? ",bias=" + p.text("bias") : "") +
         more;
}

Parameter stabilizer(double otherwise = 1e-6) {
  return {"stabilizer", otherwise, "stabilizer of all rules but epsilon", 0.0};
}

Composite epsilon_plus(const Parameters& p) {
  return with_base(
      p, {{"convolution", stabilized("zplus", p)}, {"dense", rule("epsilon", p, {"epsilon", "bias"})}});
}
Composite epsilon_plus_flat(const Parameters& p) {
  Composite c{{"first linear", stabilized("flat", p)}};
  const Composite rest = epsilon_plus(p);
  c.insert(c.end(), rest.begin(), rest.end());
  return c;
}
Composite epsilon_gamma_box(const Parameters& p) {
  Composite c{{"first convolution", stabilized("zbox", p)}};
  const Composite rest =
      with_base(p, {{"convolution", stabilized("gamma", p, ",gamma=" + to_string(p.at("gamma")))},
                    {"dense", rule("epsilon", p, {"epsilon", "bias"})}});
  c.insert(c.end(), rest.begin(), rest.end());
  return c;
}
Composite epsilon_alpha2_beta1(const Parameters& p) {
  return with_base(p, {{"convolution", stabilized("alpha_beta", p, ",alpha=2,beta=1")},
                       {"dense", rule("epsilon", p, {"epsilon", "bias"})}});
}
Composite epsilon_alpha2_beta1_flat(const Parameters& p) {
  Composite c{{"first linear", stabilized("flat", p)}};
  const Composite rest = epsilon_alpha2_beta1(p);
  c.insert(c.end(), rest.begin(), rest.end());
  return c;
}
Composite excitation(const Parameters& p) {
  Composite all = sharing(p);
  all.push_back({"linear", stabilized("zplus", p)});
  all.push_back({"activation", "gradient"});
  return all;
}
Composite all_epsilon(const Parameters& p) {
  return with_base(p, {{"linear", rule("epsilon", p, {"epsilon", "bias"})}});
}
Composite all_zero(const Parameters& p) {
  return with_base(p, {{"linear", "epsilon:epsilon=1e-09,bias=" + p.text("bias")}});
}
Composite all_gamma(const Parameters& p) {
  return with_base(p, {{"linear", stabilized("gamma", p, ",gamma=" + to_string(p.at("gamma")))}});
}
Composite all_zplus(const Parameters& p) { return with_base(p, {{"linear", stabilized("zplus", p)}}); }
Composite all_alpha_beta(const Parameters& p) {
  return with_base(
      p, {{"linear", stabilized("alpha_beta", p,
                                ",alpha=" + to_string(p.at("alpha")) + ",beta=" + to_string(p.at("beta")))}});
}
Composite all_w2(const Parameters& p) { return with_base(p, {{"linear", stabilized("w2", p)}}); }
Composite all_flat(const Parameters& p) { return with_base(p, {{"linear", stabilized("flat", p)}}); }

/// The tutorial's one-parameter family: one rule for all layers but the first, which sees pixels.
Composite deep_taylor(const Parameters& p) {
  Composite c;
  const std::string& input = p.text("input");
  const std::string family = stabilized("deep_taylor", p, ",gamma=" + to_string(p.at("gamma")));
  if (input == "w2") c.push_back({"first linear", stabilized("w2", p)});
  if (input == "zbox") c.push_back({"first linear", stabilized("zbox", p)});
  if (input == "zplus") c.push_back({"first linear", stabilized("zplus", p)});
  const Composite rest = with_base(p, {{"linear", family}});
  c.insert(c.end(), rest.begin(), rest.end());
  return c;
}

Value gradient(const MethodInputs& in, const Parameters& p) {
  return run(in, seed(in, p, false), gradients());
}
Value gradient_x_input(const MethodInputs& in, const Parameters& p) {
  return masked(in.forward.input, gradient(in, p));
}
Value guided_backprop(const MethodInputs& in, const Parameters& p) {
  return run(in, seed(in, p, false), {{"op:Relu", "guided"}, {"any", "gradient"}});
}
Value deconvnet(const MethodInputs& in, const Parameters& p) {
  return run(in, seed(in, p, false), {{"op:Relu", "deconvnet"}, {"any", "gradient"}});
}

/// The target's logit in equal parts: satisfies conservation and says nothing.
Value uniform(const MethodInputs& in, const Parameters&) {
  const Value x = in.forward.input;
  const Value logit = reduce_sum(in.one_hot * in.forward.logits, {1}, false);
  Shape wide(x.shape().size(), 1);
  wide[0] = x.shape()[0];
  const double n = static_cast<double>(x.shape().elements() / x.shape()[0]);
  return expand(reshape(logit / n, wide), x.shape());
}

/// Sobel magnitude of the channel mean, in equal parts over the channels; |x| where there is no image.
Value edges(const MethodInputs& in, const Parameters&) {
  const Value x = in.forward.input;
  if (x.shape().rank() != 4) return abs(x);
  Builder& g = x.builder();
  const auto channels = static_cast<double>(x.shape()[1]);
  const Value gray = reduce_sum(x, {1}, true) / channels;
  constexpr float kernel[] = {-1, 0, 1, -2, 0, 2, -1, 0, 1};
  constexpr float turned[] = {-1, -2, -1, 0, 0, 0, 1, 2, 1};
  const auto sobel = [&](std::span<const float> weights) {
    return g.add(kConv, {gray, g.constant(Tensor::of({1, 1, 3, 3}, weights))});
  };
  // The image's own border is no edge: it gets zero.
  if (x.shape()[2] < 3 || x.shape()[3] < 3) return abs(x);
  const Value dx = sobel(kernel);
  const Value dy = sobel(turned);
  const Value inside = g.add(kSqrt, {dx * dx + dy * dy}) / channels;
  const Value framed = g.add(kPad, {inside}, {{"pads", std::vector<std::int64_t>{0, 0, 1, 1, 0, 0, 1, 1}}});
  return expand(framed, x.shape());
}

std::vector<Parameter> lrp_parameters(std::vector<Parameter> own) {
  const Parameter sums{"sums", std::string("norm"), "how additions share relevance", {},
                       {},     {"norm", "gradient"}};
  Parameter averages = sums;
  averages.name = "averages";
  averages.about = "how averages share relevance";
  for (const Parameter& p : {stabilizer(), bias(), sums, averages, output_parameter(), pool_parameter()}) {
    if (std::ranges::find(own, p.name, &Parameter::name) == own.end()) own.push_back(p);
  }
  return own;
}

template <Composite (*C)(const Parameters&)>
Method propagation(std::string name, std::vector<Parameter> own, std::string about, std::string source) {
  return {.name = std::move(name),
          .parameters = lrp_parameters(std::move(own)),
          .about = std::move(about),
          .source = std::move(source),
          .build = lrp<C>,
          .composite = C,
          .conserves = true};
}

std::vector<Method> gradient_methods() {
  const std::vector<Parameter> common{output_parameter(), pool_parameter()};
  return {
      {"gradient", common, "the derivative of the target's score", "Simonyan et al. 2014", false, gradient},
      {"gradient_x_input", common, "gradient times input", "Shrikumar et al. 2016", false, gradient_x_input},
      {"guided_backprop", common, "gradient through positive paths of active ReLUs",
       "Springenberg et al. 2015", false, guided_backprop},
      {"deconvnet", common, "backward pass that keeps what is positive", "Zeiler and Fergus 2014", false,
       deconvnet},
  };
}

std::vector<Method> contrast_methods() {
  return {
      {"grad_cam",
       {{"layer", std::string("last_convolution"),
         "whose channels are weighed: last_convolution, last_map, or a pattern of node names"},
        {"relu", true, "only what speaks for the target"},
        output_parameter(),
        pool_parameter()},
       "channels of the last convolution weighed by their mean gradient, enlarged to the input",
       "Selvaraju et al. 2017",
       false,
       grad_cam},
      {"deeplift",
       {baseline_parameter(), output_parameter(), pool_parameter()},
       "(input − baseline) times ratios of changes from the baseline (rescale rule)",
       "Shrikumar et al. 2017",
       false,
       deeplift},
  };
}

std::vector<Method> single_rule_methods() {
  return {
      propagation<all_zero>("lrp_0", {stabilizer(1e-9)}, "LRP-0 in every layer", "Bach et al. 2015"),
      propagation<all_epsilon>("lrp_epsilon", {epsilon()}, "LRP-epsilon in every layer", "Bach et al. 2015"),
      propagation<all_gamma>("lrp_gamma", {gamma(0.25, 1e6)}, "LRP-gamma in every layer",
                             "Montavon et al. 2019"),
      propagation<all_zplus>("lrp_zplus", {}, "z+ in every layer", "Montavon et al. 2017"),
      propagation<all_alpha_beta>("lrp_alpha_beta",
                                  {{"alpha", 2.0, "weight of excitation", 1.0},
                                   {"beta", 1.0, "weight of inhibition, alpha - 1", 0.0}},
                                  "LRP-alpha-beta in every layer", "Bach et al. 2015"),
      propagation<all_w2>("lrp_w2", {}, "w-squared in every layer", "Montavon et al. 2017"),
      propagation<all_flat>("lrp_flat", {}, "flat in every layer", "Lapuschkin et al. 2019"),
  };
}

std::vector<Method> composite_methods() {
  return {
      propagation<epsilon_plus>("lrp_epsilon_plus", {epsilon()},
                                "z+ for convolutions, epsilon for dense layers", "Montavon et al. 2019"),
      propagation<epsilon_plus_flat>("lrp_epsilon_plus_flat", {epsilon()}, "the same with flat at the input",
                                     "Lapuschkin et al. 2019"),
      propagation<epsilon_gamma_box>(
          "lrp_epsilon_gamma_box", {epsilon(), gamma(0.25, 1e6), box_low(), box_high()},
          "z-box at the input, gamma for convolutions, epsilon for dense layers", "Montavon et al. 2019"),
      propagation<epsilon_alpha2_beta1>("lrp_epsilon_alpha2_beta1", {epsilon()},
                                        "alpha-beta for convolutions, epsilon for dense layers",
                                        "Kohlbrenner et al. 2020"),
      propagation<epsilon_alpha2_beta1_flat>("lrp_epsilon_alpha2_beta1_flat", {epsilon()},
                                             "the same with flat at the input", "Kohlbrenner et al. 2020"),
      propagation<excitation>("excitation_backprop", {}, "z+ in every layer, gradient through activations",
                              "Zhang et al. 2018"),
      propagation<deep_taylor>(
          "deep_taylor",
          {gamma(0, 1),
           {"input", std::string("zbox"), "rule of the first layer", {}, {}, {"zbox", "w2", "zplus", "same"}},
           box_low(),
           box_high()},
          "generalized deep Taylor decomposition, a_j (w+ + gamma w-)",
          "Samek, Montavon and Müller; Montavon et al. 2017"),
  };
}

}  // namespace

const std::vector<Method>& methods() {
  static const std::vector<Method> table = [] {
    std::vector<Method> all;
    for (const auto& part : {gradient_methods(), contrast_methods(), single_rule_methods(),
                             composite_methods(), estimator_methods()})
      all.insert(all.end(), part.begin(), part.end());
    all.push_back({"uniform",
                   {pool_parameter()},
                   "the logit in equal parts: conserves, and says nothing",
                   "control",
                   true,
                   uniform});
    all.push_back({"edges",
                   {pool_parameter()},
                   "Sobel edges of the input: ignores the network",
                   "Adebayo et al. 2018",
                   true,
                   edges});
    return all;
  }();
  return table;
}

}  // namespace heatproof
