// Normalizations. BatchNormalization keeps a node of its own; the others are written with elementary
// operators.
#include <fmt/format.h>

#include <cmath>

#include "heatproof/error.h"
#include "onnx/import.h"

namespace heatproof {

namespace {

using Values = std::vector<Value>;

Value mean(Value x, const std::vector<std::int64_t>& axes) {
  return x.builder().add(kReduceMean, {x}, {{"axes", axes}, {"keepdims", std::int64_t{1}}});
}

/// (x − mean) / sqrt(variance + epsilon) over the axes.
Value standardize(Value x, const std::vector<std::int64_t>& axes, double epsilon) {
  const Value centred = x - mean(x, axes);
  return centred / x.builder().add(kSqrt, {mean(centred * centred, axes) + epsilon});
}

Value along_channels(Value c, const Shape& x) {
  if (x.rank() < 2) throw InputError(fmt::format("an input of shape {} has no channels", to_string(x)));
  Shape shape(x.size(), 1);
  shape[1] = c.shape().elements();
  return reshape(c, shape);
}

/// Until opset 14, outputs of statistics said that it trains.
bool trains(const Importing& i) {
  bool statistics = false;
  for (int k = 1; k < i.node.output_size(); ++k) statistics |= !i.node.output(k).empty();
  return i.opset < 14 ? statistics : i.integer("training_mode", 0) != 0;
}

/// By statistics of the input itself, which is a constant: no sample has a part in them.
Values normalized_constant(const Importing& i) {
  const Value x = i.input(0);
  std::vector<std::int64_t> axes{0};
  for (int k = 2; k < x.shape().rank(); ++k) axes.push_back(k);
  for (std::size_t k = 3; k < 5; ++k) i.has(k);  // what training would update
  const Value y = standardize(x, axes, i.number("epsilon", 1e-5));
  return {i.add(kAdd, {y * along_channels(i.input(1), x.shape()), along_channels(i.input(2), x.shape())})};
}

Values batch_normalization(const Importing& i) {
  i.harmless({"momentum"});  // of statistics in training
  if (i.integer("spatial", 1) != 1)
    throw UnsupportedError("BatchNormalization with spatial = 0, statistics of every position");
  if (trains(i)) {
    if (i.input(0).constant() && i.shape(0).rank() > 1) return normalized_constant(i);
    throw UnsupportedError(
        "BatchNormalization in training mode normalizes by statistics of the batch, so that samples would "
        "see "
        "each other; export the model in eval mode (model.eval(), training=TrainingMode.EVAL)");
  }
  const Tensor scale = i.constant(1);
  const Tensor bias = i.constant(2);
  const Tensor mean = i.constant(3);
  const Tensor variance = i.constant(4);
  const double epsilon = i.number("epsilon", 1e-5);
  const std::int64_t n = i.shape(0).rank() > 1 ? i.shape(0)[1] : 0;
  for (const Tensor& t : {scale, bias, mean, variance}) {
    if (t.shape() != Shape{n})
      throw InputError(fmt::format("statistics of shape {} do not fit {} channels", to_string(t.shape()), n));
  }
  Tensor factor = Tensor::zeros(DType::f32, {n});
  Tensor shift = Tensor::zeros(DType::f32, {n});
  for (std::size_t k = 0; k < static_cast<std::size_t>(n); ++k) {
    const double f =
        scale.data<float>()[k] / std::sqrt(static_cast<double>(variance.data<float>()[k]) + epsilon);
    factor.data<float>()[k] = static_cast<float>(f);
    shift.data<float>()[k] = static_cast<float>(bias.data<float>()[k] - mean.data<float>()[k] * f);
  }
  return {i.add(kBatchNormalization, {i.input(0), i.g.constant(factor), i.g.constant(shift)})};
}

Values instance_normalization(const Importing& i) {
  const Value x = i.input(0);
  std::vector<std::int64_t> axes;
  for (int k = 2; k < x.shape().rank(); ++k) axes.push_back(k);
  const Value y = standardize(x, axes, i.number("epsilon", 1e-5));
  return {i.add(kAdd, {y * along_channels(i.input(1), x.shape()), along_channels(i.input(2), x.shape())})};
}

Values group_normalization(const Importing& i) {
  const Value x = i.input(0);
  const std::int64_t groups = i.integer("num_groups", 1);
  if (x.shape().rank() < 2 || groups < 1 || x.shape()[1] % groups != 0)
    throw InputError("num_groups does not divide the channels");
  const Value grouped = reshape(x, {x.shape()[0], groups, x.shape().elements() / (x.shape()[0] * groups)});
  const Value y = reshape(standardize(grouped, {2}, i.number("epsilon", 1e-5)), x.shape());
  const auto per_channel = [&](Value v) {
    if (v.shape().elements() == x.shape()[1]) return along_channels(v, x.shape());
    return along_channels(
        reshape(expand(reshape(v, {groups, 1}), {groups, x.shape()[1] / groups}), {x.shape()[1]}), x.shape());
  };
  return {i.add(kAdd, {y * per_channel(i.input(1)), per_channel(i.input(2))})};
}

/// What LayerNormalization may give away beside its result: the mean and 1 / sqrt(variance + epsilon).
Values statistics(Value x, const std::vector<std::int64_t>& axes, double epsilon) {
  const Value middle = mean(x, axes);
  const Value centred = x - middle;
  Builder& g = x.builder();
  return {middle, g.add(kReciprocal, {g.add(kSqrt, {mean(centred * centred, axes) + epsilon})})};
}

Values layer_normalization(const Importing& i) {
  const Value x = i.input(0);
  std::vector<std::int64_t> axes;
  for (std::int64_t k = i.axis(i.integer("axis", -1), x.shape().rank()); k < x.shape().rank(); ++k)
    axes.push_back(k);
  Value y = standardize(x, axes, i.number("epsilon", 1e-5)) * i.input(1);
  if (i.has(2)) y = i.add(kAdd, {y, i.input(2)});
  Values results{y};
  if (i.node.output_size() > 1)
    for (Value v : statistics(x, axes, i.number("epsilon", 1e-5))) results.push_back(v);
  return results;
}

}  // namespace

void add_normalization_importers(ImporterTable& t) {
  t["BatchNormalization"] = batch_normalization;
  t["InstanceNormalization"] = instance_normalization;
  t["GroupNormalization"] = group_normalization;
  t["LayerNormalization"] = layer_normalization;
}

}  // namespace heatproof
