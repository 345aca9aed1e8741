// The one view through which rules of relevance propagation see a linear operator (DESIGN.md, "The rules").
#pragma once

#include <functional>
#include <vector>

#include "graph/builder.h"

namespace heatproof {

/// Variable operands of a linear operator: one for most, two or more for a sum. Rules calculate with all at
/// once (ops/arithmetic.h has the operators for it).
class Operands : public std::vector<Value> {
 public:
  using std::vector<Value>::vector;
};

/// z = apply(a, w, b), linear in a and in w. Pooling and sums have weights, too: constants such as 1/9 or 1.
struct Linear {
  Operands a;           // the inputs
  Value w;              // the weights
  Value b;              // the bias; invalid where there is none
  Value output;         // z, the node itself; or what stands for it where relevance is not zero (ReLU(z))
  bool active = false;  // relevance is zero wherever the output is not positive
  /// apply(a, w, b): the operator with other inputs, weights and bias (which may be invalid).
  std::function<Value(const Operands& a, Value w, Value b)> apply;
  /// transpose(w, s): for each operand, Σ_k w_jk s_k in the operand's shape.
  std::function<Operands(Value w, Value s)> transpose;
};

}  // namespace heatproof
