// Elementwise operators, activations and softmax.
#include <fmt/format.h>

#include <limits>

#include "heatproof/error.h"
#include "onnx/import.h"

namespace heatproof {

namespace {

using Values = std::vector<Value>;

Importer unary(const Operator& op) {
  return [&op](const Importing& i) { return Values{i.add(op, {i.input(0)})}; };
}

Importer binary(const Operator& op) {
  return [&op](const Importing& i) { return Values{i.add(op, {i.input(0), i.input(1)})}; };
}

// Each operand is a node, and several of an explanation; networks that people explain have some hundred.
constexpr std::size_t kMostOperands = 20'000;

void check_operands(const Importing& i) {
  if (i.inputs.size() > kMostOperands)
    throw UnsupportedError(fmt::format("has {} operands, and {} is the limit; write it in several nodes",
                                       i.inputs.size(), kMostOperands));
}

/// Sum, Max, Min of any number of inputs.
Importer variadic(const Operator& op) {
  return [&op](const Importing& i) {
    check_operands(i);
    Value total = i.input(0);
    for (std::size_t k = 1; k < i.inputs.size(); ++k) total = i.add(op, {total, i.input(k)});
    return Values{total};
  };
}

/// An operator whose numeric attributes go over as they are.
Importer with_numbers(const Operator& op, std::vector<std::string> names) {
  return [&op, names = std::move(names)](const Importing& i) {
    Attributes a;
    for (const std::string& name : names) {
      if (i.attribute(name) != nullptr) a.set(name, i.number(name, 0));
    }
    return Values{i.add(op, {i.input(0)}, a)};
  };
}

Values clip(const Importing& i) {
  Attributes a;
  if (i.input(0).dtype() != DType::f32) throw UnsupportedError("Clip of integers");
  const auto bound = [&](std::size_t k, const char* name) {
    if (i.has(k))
      a.set(name, i.constant_number(k));
    else if (const double given = i.number(name, 1e38); std::abs(given) < 1e38)
      a.set(name, given);
  };
  bound(1, "min");
  bound(2, "max");
  return {i.add(kClip, {i.input(0)}, a)};
}

Values prelu(const Importing& i) {
  const Value x = i.input(0);
  Value slope = i.input(1);
  if (slope.shape().elements() == 1) slope = reshape(slope, {});
  return {i.add(kAdd, {positive(x), slope * negative(x)})};
}

/// Before opset 13, softmax ran over all axes from `axis` on, flattened.
Importer softmax(const Operator& op) {
  return [&op](const Importing& i) {
    const Value x = i.input(0);
    const int rank = x.shape().rank();
    const std::int64_t axis = i.axis(i.integer("axis", i.opset < 13 ? 1 : -1), rank);
    if (i.opset >= 13) return Values{i.add(op, {x}, {{"axis", axis}})};
    std::int64_t outer = 1;
    for (std::int64_t k = 0; k < axis; ++k) outer *= x.shape()[static_cast<std::size_t>(k)];
    const Value flat = reshape(x, {outer, x.shape().elements() / outer});
    return Values{reshape(i.add(op, {flat}, {{"axis", std::int64_t{1}}}), x.shape())};
  };
}

/// Element k as an integer type of the file, which wraps around where the number does not fit.
std::int64_t narrowed(std::int64_t value, std::int64_t type) {
  using P = onnx::TensorProto;
  switch (type) {
    case P::INT8:
      return static_cast<std::int8_t>(value);
    case P::UINT8:
      return static_cast<std::uint8_t>(value);
    case P::INT16:
      return static_cast<std::int16_t>(value);
    case P::UINT16:
      return static_cast<std::uint16_t>(value);
    case P::INT32:
      return static_cast<std::int32_t>(value);
    case P::UINT32:
      return static_cast<std::uint32_t>(value);
    case P::INT64:
      return value;
    default:
      break;
  }
  throw UnsupportedError(fmt::format("Cast to element type {} is not supported", type));
}

std::int64_t whole(double value) {
  if (!(std::abs(value) < 9.2e18)) throw UnsupportedError(fmt::format("Cast of {} to an integer", value));
  return static_cast<std::int64_t>(value);
}

/// Casts between floating types, and of constants; others depend on the data.
Values cast(const Importing& i) {
  using P = onnx::TensorProto;
  const Value x = i.input(0);
  const auto to = i.required_integer("to");
  i.harmless({"saturate", "round_mode"});  // of types of 8 bits
  const bool real = to == P::FLOAT || to == P::FLOAT16 || to == P::BFLOAT16 || to == P::DOUBLE;
  const bool logical = to == P::BOOL;
  if (!real && !logical) narrowed(0, to);
  if (x.dtype() == DType::f32 && real) return {x};
  if (x.dtype() == DType::i64 && (to == P::INT64 || to == P::INT32) && !x.constant()) return {x};
  if (x.dtype() == DType::boolean && logical) return {x};
  const Tensor t = i.constant(0);
  Tensor result = i.g.computed(real ? DType::f32 : logical ? DType::boolean : DType::i64, t.shape());
  for (std::int64_t k = 0; k < t.elements(); ++k) {
    const auto n = static_cast<std::size_t>(k);
    const bool integer = t.dtype() == DType::i64;
    const std::int64_t number = integer ? t.data<std::int64_t>()[n] : 0;
    const double value = integer                   ? static_cast<double>(number)
                         : t.dtype() == DType::f32 ? static_cast<double>(t.data<float>()[n])
                                                   : static_cast<const std::uint8_t*>(t.raw())[n];
    if (real)
      result.data<float>()[n] = static_cast<float>(value);
    else if (logical)
      static_cast<std::uint8_t*>(result.raw())[n] = value != 0;
    else
      result.data<std::int64_t>()[n] = narrowed(integer ? number : whole(value), to);
  }
  return {i.g.constant(result)};
}

/// The identity, unless it drops: then the result hangs on chance.
Values dropout(const Importing& i) {
  i.harmless({"ratio", "seed"});  // of training
  const bool training = i.has(2) && i.constant_number(2) != 0;
  const bool has_ratio = i.has(1);
  if (training && !(has_ratio && i.constant_number(1) == 0))
    throw UnsupportedError(
        "Dropout with training_mode drops values by chance; export the model in eval mode (model.eval())");
  return {i.input(0)};
}

}  // namespace

void add_elementwise_importers(ImporterTable& t) {
  t["Add"] = binary(kAdd);
  t["Sub"] = binary(kSub);
  t["Mul"] = binary(kMul);
  t["Div"] = binary(kDiv);
  t["Pow"] = [](const Importing& i) {
    Value exponent = i.input(1);
    if (exponent.dtype() == DType::i64) {
      const Tensor tensor = i.constant(1);
      Tensor real = i.g.computed(DType::f32, tensor.shape());
      for (std::size_t k = 0; k < real.data<float>().size(); ++k)
        real.data<float>()[k] = static_cast<float>(tensor.data<std::int64_t>()[k]);
      exponent = i.g.constant(real);
    }
    return Values{i.add(kPow, {i.input(0), exponent})};
  };
  t["Sum"] = variadic(kAdd);
  t["Max"] = variadic(kMax);
  t["Min"] = variadic(kMin);
  t["Mean"] = [](const Importing& i) {
    check_operands(i);
    Value total = i.input(0);
    for (std::size_t k = 1; k < i.inputs.size(); ++k) total = total + i.input(k);
    return Values{i.add(kMul, {total, i.g.fill({}, 1.0F / static_cast<float>(i.inputs.size()))})};
  };
  const std::vector<std::pair<const char*, const Operator*>> unaries = {{"Relu", &kRelu},
                                                                        {"Sigmoid", &kSigmoid},
                                                                        {"Tanh", &kTanh},
                                                                        {"Softplus", &kSoftplus},
                                                                        {"Softsign", &kSoftsign},
                                                                        {"Mish", &kMish},
                                                                        {"HardSwish", &kHardSwish},
                                                                        {"Neg", &kNeg},
                                                                        {"Abs", &kAbs},
                                                                        {"Sign", &kSign},
                                                                        {"Exp", &kExp},
                                                                        {"Log", &kLog},
                                                                        {"Sqrt", &kSqrt},
                                                                        {"Reciprocal", &kReciprocal},
                                                                        {"Erf", &kErf},
                                                                        {"Floor", &kFloor},
                                                                        {"Ceil", &kCeil},
                                                                        {"Round", &kRound},
                                                                        {"Sin", &kSin},
                                                                        {"Cos", &kCos}};
  for (const auto& [name, op] : unaries) t[name] = unary(*op);
  t["LeakyRelu"] = with_numbers(kLeakyRelu, {"alpha"});
  t["Elu"] = with_numbers(kElu, {"alpha"});
  t["Celu"] = with_numbers(kCelu, {"alpha"});
  t["Selu"] = with_numbers(kSelu, {"alpha", "gamma"});
  t["HardSigmoid"] = with_numbers(kHardSigmoid, {"alpha", "beta"});
  t["Gelu"] = [](const Importing& i) {
    return Values{i.add(kGelu, {i.input(0)}, {{"approximate", i.word("approximate", {"none", "tanh"})}})};
  };
  t["Clip"] = clip;
  t["ThresholdedRelu"] = [](const Importing& i) {
    const Value x = i.input(0);
    return Values{i.add(kSelect, {step(x - static_cast<float>(i.number("alpha", 1))), x, zeros_like(x)})};
  };
  t["PRelu"] = prelu;
  t["Softmax"] = softmax(kSoftmax);
  t["LogSoftmax"] = softmax(kLogSoftmax);
  t["Cast"] = cast;
  t["Identity"] = [](const Importing& i) { return Values{i.input(0)}; };
  t["Dropout"] = dropout;
}

}  // namespace heatproof
