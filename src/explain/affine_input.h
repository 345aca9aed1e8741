// Affine operators between the network's input and its first layers: (x − mean) / std, x / 255, 2 x − 1.
//
// Rules see the layer behind them as if they were folded into it: its inputs are the network's, its weights
// are scaled, and what the constants contribute is its bias, per position where zero padding sees normalised
// values. The network itself stays as it is written.
#pragma once

#include <map>
#include <optional>

#include "graph/linear.h"

namespace heatproof {

/// value = scale · moved + shift, where `moved` are elements of the input in another order and shape.
struct AffineImage {
  Value moved;
  Value scale, shift;  // constants that broadcast to `moved`; invalid for 1 and 0
  Value low, high;     // the box of `moved`, broadcastable to it
  bool changes() const { return scale || shift; }
};

class AffineImages {
 public:
  /// Of all nodes up to `last` that are affine images of the input. low, high: the input's box; may be
  /// invalid.
  AffineImages(Value input, Value low, Value high, Value last);

  /// nullptr where a value is no such image.
  const AffineImage* of(Value v) const;
  /// The box of an image, as scale · [low, high] + shift, or of its moved elements; of other values, what
  /// bounds and affine operators make of it, or the input's.
  std::pair<Value, Value> box(Value v, bool of_moved) const;
  /// The layer with the operators before it folded in; nullopt where there are none, or where its weights
  /// cannot take up the scale (it differs from position to position before a convolution).
  std::optional<Linear> folded(Value node, const Linear& layer) const;
  /// Relevance of the input from that of moved elements.
  Value pulled_back(Value moved, Value relevance) const;

 private:
  void add(Value node);
  /// Of a value that is no image: through bounds and affine operators.
  std::pair<Value, Value> box_behind(Value v) const;

  Value input_, low_, high_;
  std::map<NodeId, AffineImage> images_;
};

}  // namespace heatproof
