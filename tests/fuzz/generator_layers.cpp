// Layers, reductions and products of random plans.
#include "fuzz/generator.h"
#include "ops/operators.h"

namespace heatproof::fuzz {

void Generator::convolution(bool transposed) {
  const int x = pick();
  const Shape s = shape(x);
  if (s.rank() < 3 || s.rank() > 5) return;
  std::int64_t group = d_.once_in(3) ? (d_.once_in(2) ? s[1] : 2) : 1;
  if (s[1] % group != 0) group = 1;
  const std::int64_t out = group > 1 ? d_.between(1, 3) : channels();  // per group
  Shape weights{transposed ? s[1] : out * group, transposed ? out : s[1] / group};
  std::vector<std::int64_t> strides, dilations, pads, padding;
  for (int i = 2; i < s.rank(); ++i) {
    weights.push_back(d_.once_in(3) ? 1 : d_.between(2, 4));
    strides.push_back(d_.once_in(2) ? d_.between(1, 3) : 1);
    dilations.push_back(d_.once_in(4) ? 2 : 1);
  }
  const bool same = d_.once_in(2);  // the usual 3×3 windows, which have kernels of their own
  for (std::size_t i = 0; same && i < strides.size(); ++i) weights[i + 2] = 3, strides[i] = dilations[i] = 1;
  for (std::int64_t stride : strides) padding.push_back(d_.below(stride + 1));
  for (std::size_t i = 0; i < 2 * strides.size(); ++i)
    pads.push_back(same ? 1 : d_.once_in(2) ? 0 : d_.below(4));
  const std::int64_t taps = weights.elements() / weights[0];
  if (s.elements() * taps * (transposed ? 1 : out) > kMostProducts || weights.elements() > kMostElements)
    return;
  Attributes a{{"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"group", group}};
  if (transposed) a.set("output_padding", padding);
  std::vector<int> inputs{x, constant(weights)};
  if (d_.once_in(2)) inputs.push_back(constant(Shape{out * group}));
  add(transposed ? kConvTranspose : kConv, inputs, a);
}

void Generator::pooling() {
  const int x = pick();
  const Shape s = shape(x);
  if (s.rank() < 3 || s.rank() > 5) return;
  const bool maximum = d_.once_in(2);
  const bool ceil = d_.once_in(3);
  const auto axes = s.size() - 2;
  std::vector<std::int64_t> kernel, strides, dilations, pads(2 * axes), sizes;
  for (std::size_t i = 0; i < axes; ++i) {
    kernel.push_back(d_.once_in(5) ? s[i + 2] : d_.between(1, 3));
    strides.push_back(d_.between(1, 3));
    dilations.push_back(d_.once_in(5) ? 2 : 1);
    pads[i] = d_.once_in(2) ? d_.below(kernel[i]) : 0;
    pads[i + axes] = d_.once_in(2) ? d_.below(kernel[i]) : 0;
    const std::int64_t room = s[i + 2] + pads[i] + pads[i + axes] - dilations[i] * (kernel[i] - 1) - 1;
    if (room < 0) return;
    std::int64_t size = (room + (ceil ? strides[i] - 1 : 0)) / strides[i] + 1;
    if ((size - 1) * strides[i] >= s[i + 2] + pads[i])
      --size;  // a window that begins behind the input is none
    if (size < 1) return;
    sizes.push_back(size);
  }
  Attributes a{{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}, {"pads", pads}};
  a.set("output_shape", sizes);
  if (!maximum) a.set("count_include_pad", d_.below(2));
  add(maximum ? kMaxPool : kAveragePool, {x}, a);
}

void Generator::dense() {
  int x = pick();
  if (shape(x).empty()) return;
  if (d_.once_in(2)) x = add(kReshape, {x}, {{"shape", std::vector<std::int64_t>{1, shape(x).elements()}}});
  const std::int64_t out = channels();
  const std::int64_t in = shape(x).back();
  std::vector<int> inputs{x, constant(Shape{out, in})};
  if (d_.once_in(2)) inputs.push_back(constant(Shape{out}));
  add(kLinear, inputs);
}

void Generator::product() {
  const int x = pick();
  const Shape s = shape(x);
  if (s.rank() < 2) return;
  std::vector<std::int64_t> perm;
  for (std::int64_t i = 0; i < s.rank(); ++i) perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  const std::int64_t other = channels();
  Shape right{s.back(), other};
  Shape left{other, s[s.size() - 2]};
  if (d_.once_in(3)) {  // matrices of their own for every index of the leading axes
    right.insert(right.begin(), s.begin(), s.end() - 2);
    left.insert(left.begin(), s.begin(), s.end() - 2);
  }
  switch (d_.below(4)) {
    case 0:
      add(kMatMul, {x, add(kTranspose, {x}, {{"perm", perm}})});
      return;
    case 1:
      add(kMatMul, {add(kTranspose, {pick()}, {{"perm", perm}}), x});
      return;
    case 2:
      add(kMatMul, {x, constant(right)});
      return;
    default:
      add(kMatMul, {constant(left), x});
      return;
  }
}

void Generator::channelwise() {
  const int x = pick();
  if (shape(x).rank() < 2) return;
  const std::int64_t c = shape(x)[1];
  add(kBatchNormalization, {x, constant(Shape{c}), constant(Shape{c})});
}

void Generator::reduction() {
  const int x = pick();
  if (shape(x).empty()) return;
  static constexpr const Operator* kAll[]{&kReduceSum, &kReduceMean, &kReduceMax, &kReduceMin, &kReduceProd};
  const Operator& op = *kAll[d_.below(5)];
  std::vector<std::int64_t> axes;
  for (std::int64_t i = 0; i < shape(x).rank(); ++i) {
    if (d_.once_in(2)) axes.push_back(i);
  }
  if (axes.empty()) axes.push_back(axis_of(x));
  add(op, {x}, {{"axes", axes}, {"keepdims", d_.below(2)}});
}

void Generator::along_axis() {
  const int x = pick();
  if (shape(x).empty()) return;
  static constexpr const Operator* kAll[]{&kSoftmax, &kLogSoftmax, &kLogSumExp};
  const Operator& op = *kAll[d_.below(3)];
  add(op, {x}, {{"axis", axis_of(x)}});
}

}  // namespace heatproof::fuzz
