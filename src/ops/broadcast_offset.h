// Where the elements of a value lie that is broadcast to a shape: for tables that are computed at build time.
#pragma once

#include <vector>

#include "heatproof/tensor.h"

namespace heatproof {

class BroadcastOffset {
 public:
  /// `own` broadcasts to `shape`.
  BroadcastOffset(const Shape& own, const Shape& shape) {
    const auto strides = own.strides();
    const auto wide = shape.strides();
    const std::size_t shift = shape.size() - own.size();
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i] != 1) axes_.push_back({wide[i + shift], shape[i + shift], strides[i]});
    }
  }
  /// Of what stands at element k of the shape.
  std::size_t operator()(std::int64_t k) const {
    std::int64_t offset = 0;
    for (const Axis& axis : axes_) offset += k / axis.wide % axis.length * axis.own;
    return static_cast<std::size_t>(offset);
  }

 private:
  struct Axis {
    std::int64_t wide, length, own;
  };
  std::vector<Axis> axes_;
};

}  // namespace heatproof
