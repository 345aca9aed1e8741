// A network of one row becomes a network of many, each of which is computed as if it were alone.
//
//   Graph eight = batched(model.specialize({.batch = 1}), 8);
#pragma once

#include <vector>

#include "graph/graph.h"

namespace heatproof {

/// `one` computes one row (its inputs have shapes [1, ...]); the result computes `rows` of them at once.
/// Every operator says in batching.cpp how rows pass through it, so that none can see another, whatever the
/// network does with its axes: the batch is the outermost part of axis 0 of every value that hangs on an
/// input, and operators that do something along axis 0 get an axis more. Results are [rows, ...], with the
/// shape of one row's result behind, unless that begins with the 1 that stands for the batch already.
/// `shared`: inputs (by position) that all rows share. Throws UnsupportedError that names node and operator
/// where an operator does not say how rows pass.
Graph batched(const Graph& one, std::int64_t rows, const std::vector<bool>& shared = {});

/// Whether an operator says how rows pass through it.
bool has_row_rule(const Operator& op);

/// The same outputs by the same operators on the same values.
bool same_function(const Graph& a, const Graph& b);

}  // namespace heatproof
