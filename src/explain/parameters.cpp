#include "explain/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "explain/resample.h"
#include "graph/operator.h"
#include "heatproof/error.h"
#include "ops/arithmetic.h"
#include "ops/operators.h"

namespace heatproof {

namespace {

const std::vector<std::string>& baseline_words() {
  static const std::vector<std::string> words{"zero", "black", "white", "mean", "blur"};
  return words;
}

Value blurred(Value x) {
  const Shape shape = x.shape();
  const int first = first_position(shape);
  const std::int64_t side = *std::min_element(shape.begin() + first, shape.end());
  const double sigma = std::max(1.0, static_cast<double>(side) / 10);
  for (int axis = first; axis < shape.rank(); ++axis)
    x = along(x, axis, blurring(shape[static_cast<std::size_t>(axis)], sigma));
  return x;
}

/// Mean over all positions of each channel.
Value mean_of_channels(Value x) {
  std::vector<std::int64_t> axes;
  double count = 1;
  for (int i = first_position(x.shape()); i < x.shape().rank(); ++i) {
    axes.push_back(i);
    count *= static_cast<double>(x.shape()[static_cast<std::size_t>(i)]);
  }
  return axes.empty() ? x : reduce_sum(x, axes, true) / count;
}

double number_of(const std::string& method, const std::string& text) {
  const Parameter number{"baseline", 0.0, ""};
  return Parameters({method, {{"baseline", text}}}, std::span(&number, 1)).number("baseline");
}

}  // namespace

Parameter pool_parameter() {
  return {"pool",
          std::string("sum"),
          "how the channels of a pixel become one score",
          {},
          {},
          {"sum", "abs", "l2", "max", "positive"}};
}

Parameter output_parameter() {
  return {"output",
          std::string("logit"),
          "what is explained: the target's logit, its probability, or 1",
          {},
          {},
          {"logit", "probability", "one"}};
}

Parameter score_parameter() {
  return {"output", std::string("logit"),    "what is explained: the target's logit or its probability", {},
          {},       {"logit", "probability"}};
}

ScoreKind score_kind(const Network& network, const Parameters& p, std::string_view key) {
  if (p.text(key) != "probability") return ScoreKind::logit;
  if (p.given(key)) require_probability(network.probability(), key);
  return network.probability() ? ScoreKind::probability : ScoreKind::logit;
}

Value explained(const ForwardView& forward, const Parameters& p) {
  if (p.text("output") != "probability") return forward.logits;
  require_probability(forward.reading, "output");
  return forward.probability;
}

Value box_edge(Builder& g, const std::vector<double>& values, double otherwise, const Shape& x) {
  if (values.empty()) return g.fill({}, static_cast<float>(otherwise));
  if (values.size() == 1) return g.fill({}, static_cast<float>(values[0]));
  if (x.rank() < 2 || x[1] != static_cast<std::int64_t>(values.size())) {
    throw UsageError(
        fmt::format("the box has {} channels, the input has shape {}", values.size(), to_string(x)));
  }
  Shape shape(x.size(), 1);
  shape[1] = x[1];
  const std::vector<float> numbers(values.begin(), values.end());
  return g.constant(Tensor::of(shape, std::span<const float>(numbers)));
}

Parameter baseline_parameter() {
  return {"baseline", std::string("zero"),
          "input in which nothing is seen: zero, black, white, mean (of each channel), blur, or a number"};
}

void check_baseline(const std::string& method, const std::string& text) {
  if (std::ranges::find(baseline_words(), text) != baseline_words().end()) return;
  try {
    number_of(method, text);
  } catch (const UsageError&) {
    throw UsageError(fmt::format("{}: baseline '{}' is none of {}, and no number", method, text,
                                 fmt::join(baseline_words(), ", ")));
  }
}

Value baseline(Value x, const std::string& text, Value low, Value high) {
  if (text == "zero") return zeros_like(x);
  if (text == "black" || text == "white") return expand(text == "black" ? low : high, x.shape());
  if (text == "mean") return expand(mean_of_channels(x), x.shape());
  if (text == "blur") return blurred(x);
  return x.builder().fill(x.shape(), static_cast<float>(number_of("baseline", text)));
}

}  // namespace heatproof
