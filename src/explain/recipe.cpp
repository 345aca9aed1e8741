#include "explain/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "base/threads.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

Recipe make_recipe(const Spec& spec) {
  const auto method = std::ranges::find(methods(), spec.name, &Method::name);
  if (method == methods().end()) {
    std::vector<std::string> known;
    for (const Method& m : methods()) known.push_back(m.name);
    const std::string near = nearest(spec.name, known);
    throw UsageError(
        fmt::format("unknown method '{}'{}; heatproof list recipes names all {}", abbreviated(spec.name, 100),
                    near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near), known.size()));
  }
  Recipe recipe{&*method, Parameters(spec, method->parameters), {}};
  if (recipe.parameters.has("alpha") &&
      recipe.parameters.number("alpha") - recipe.parameters.number("beta") != 1) {
    throw UsageError(fmt::format("{}: alpha - beta must be 1", spec.name));
  }
  for (const char* edge : {"low", "high"}) {
    if (!recipe.parameters.has(edge)) continue;
    const std::string& text = recipe.parameters.text(edge);
    const Parameter number{edge, 0.0, ""};
    if (text != "black" && text != "white") Parameters({spec.name, {{edge, text}}}, std::span(&number, 1));
  }
  if (recipe.parameters.has("baseline")) check_baseline(spec.name, recipe.parameters.text("baseline"));
  recipe.text = canonical(method->name, recipe.parameters, method->parameters);
  return recipe;
}

}  // namespace

Recipe parse_recipe(std::string_view text) { return make_recipe(parse_spec(text)); }

std::vector<Recipe> expand_recipes(std::string_view text) {
  std::vector<Recipe> recipes;
  for (const Spec& spec : expand_grid(text)) recipes.push_back(make_recipe(spec));
  return recipes;
}

std::vector<Recipe> default_recipes(bool images) {
  // Box rules need to know black and white, which only photos and declared preprocessing tell.
  std::vector<std::string> words{"gradient:pool=sum/abs",
                                 "gradient_x_input",
                                 "guided_backprop",
                                 "lrp_epsilon:epsilon=0.01",
                                 "lrp_epsilon_plus",
                                 "lrp_epsilon_plus_flat",
                                 "lrp_epsilon_alpha2_beta1",
                                 "lrp_epsilon_alpha2_beta1_flat",
                                 "lrp_gamma",
                                 "excitation_backprop",
                                 "random",
                                 "uniform",
                                 "edges"};
  words.insert(words.begin(),
               images ? "deep_taylor:gamma=0/0.1/0.25/0.5/1" : "deep_taylor:gamma=0/0.1/0.25/0.5/1,input=w2");
  if (images) words.insert(words.begin() + 1, {"deep_taylor:input=w2", "lrp_epsilon_gamma_box"});
  std::vector<Recipe> recipes;
  for (const std::string& word : words) {
    for (Recipe& recipe : expand_recipes(word)) recipes.push_back(std::move(recipe));
  }
  return recipes;
}

Pool pool_of(const Recipe& recipe) {
  const std::string& word = recipe.parameters.text("pool");
  return word == "abs"        ? Pool::abs
         : word == "l2"       ? Pool::l2
         : word == "max"      ? Pool::max
         : word == "positive" ? Pool::positive
                              : Pool::sum;
}

Tensor pool_channels(const Tensor& relevance, Pool pool) {
  const Shape& s = relevance.shape();
  const bool image = s.rank() == 4;
  const std::int64_t channels = image ? s[1] : 1;
  const std::int64_t pixels = s.elements() / (s[0] * channels);
  Tensor pooled = Tensor::zeros(DType::f32, image ? Shape{s[0], s[2], s[3]} : Shape{s[0], 1, pixels});
  const auto from = relevance.data<float>();
  const auto to = pooled.data<float>();
  try_parallel_for(s[0], [&](std::int64_t n) {
    for (std::int64_t p = 0; p < pixels; ++p) {
      double value = pool == Pool::max ? -INFINITY : 0;
      for (std::int64_t c = 0; c < channels; ++c) {
        const double r = from[static_cast<std::size_t>((n * channels + c) * pixels + p)];
        switch (pool) {
          case Pool::sum:
            value += r;
            break;
          case Pool::abs:
            value += std::abs(r);
            break;
          case Pool::l2:
            value += r * r;
            break;
          case Pool::max:
            if (r > value || std::isnan(r)) value = r;  // NaN stays
            break;
          case Pool::positive:
            value += std::max(r, 0.0);
            break;
        }
      }
      to[static_cast<std::size_t>(n * pixels + p)] =
          static_cast<float>(pool == Pool::l2 ? std::sqrt(value) : value);
    }
  });
  return pooled;
}

}  // namespace heatproof
