// Makes plans from bytes, one operator after the other.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "base/random.h"
#include "fuzz/plan.h"
#include "fuzz/support.h"

namespace heatproof::fuzz {

class Generator {
 public:
  explicit Generator(std::string_view bytes);
  Plan run();

 private:
  static constexpr std::int64_t kMostElements = 2000;
  static constexpr std::int64_t kMostProducts = 60'000;
  static constexpr int kNone = -1;

  // Choices.
  double one_of(std::initializer_list<double> values) {
    return values.begin()[static_cast<std::size_t>(d_.below(static_cast<std::int64_t>(values.size())))];
  }
  std::int64_t channels() { return d_.once_in(4) ? d_.between(5, 33) : d_.between(1, 4); }
  std::int64_t axis_of(int x) { return d_.below(shape(x).rank()); }
  /// A value that hangs on the input, more often than not the last one.
  int pick();
  const Shape& shape(int i) const { return values_[static_cast<std::size_t>(i)].shape(); }

  // Nodes; kNone where the builder refuses them or they are too large.
  int add(const Operator& op, std::vector<int> inputs, Attributes attributes = {});
  int constant(const Shape& shape);
  int constant(Tensor t);
  int fill(const Shape& shape, double value);
  /// |x| + at least `least`.
  int positive(int x, double least);

  // Families; they add nodes that hang on the input.
  void function();  // generator.cpp
  void pair();
  void choice();
  void gate();
  void normalization();
  void convolution(bool transposed);  // generator_layers.cpp
  void pooling();
  void dense();
  void product();
  void channelwise();
  void reduction();
  void along_axis();
  void reshape();  // generator_movement.cpp
  void transpose();
  void expand();
  void slice();
  void unslice();
  void pad();
  void gather();
  void concat();

  Attributes attributes_of(const Operator& op);
  int second_operand(int x);

  Draw d_;
  RandomStream random_;
  Builder g_;
  Plan plan_;
  std::vector<Value> values_;
  std::vector<int> variable_;
  bool named_;
};

}  // namespace heatproof::fuzz
