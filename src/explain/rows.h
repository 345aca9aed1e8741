// Networks that are only there in batches of several rows: whether a row hangs on the others is tried out.
#pragma once

#include <string>

#include "graph/graph.h"

namespace heatproof {

/// Throws UnsupportedError where, with random rows, one row's results change with the rows beside it or with
/// its place among them, or hang on another row by their gradient.
void check_rows(const Graph& network, const std::string& output_name, std::int64_t rows);

/// Whether each row of `together`, a network of several rows as its file builds it, is what `alone`, of as
/// many rows that do not see each other, makes of it: node for node, or else of random rows.
bool are_same_rows(const Graph& together, const Graph& alone, const std::string& output_name);

/// Whether row i of `a` is row k of `b`: finite, and equal to 1e-4 of its largest number.
bool same_row(const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t k);

}  // namespace heatproof
