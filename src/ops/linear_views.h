// Sums, differences and factors as rules of relevance propagation see them.
#pragma once

#include <optional>

#include "graph/linear.h"

namespace heatproof {

std::optional<Linear> add_linear(Value node);
std::optional<Linear> sub_linear(Value node);
/// nullopt where both factors vary, or the divisor does.
std::optional<Linear> mul_linear(Value node);
std::optional<Linear> div_linear(Value node);

}  // namespace heatproof
