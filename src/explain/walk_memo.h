// Scores of walks are remembered, so that walks that are equal (heatmaps with the same order of patches,
// controls that have no order, metrics that differ in what they do with scores) are computed once.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "explain/network.h"

namespace heatproof {

/// Belongs to one network: scores hang on its weights.
class WalkMemo {
 public:
  explicit WalkMemo(std::size_t most_bytes) : most_(most_bytes) {}

  /// Gives scores of all walks to `walks.use`: of those that are known at once, of the others by way of
  /// `compute`, which is asked for each once, or not at all. Needs `walks.changes`.
  void run(const Walks& walks, ScoreKind kind, std::int64_t classes,
           const std::function<void(const Walks&)>& compute);

  void forget() { make_room(most_); }
  std::size_t bytes() const { return bytes_; }

 private:
  using Rows = std::vector<float>;            // [steps, classes]
  using Known = std::map<std::string, Rows>;  // by hash of base and changes
  /// Forgets the oldest until there is room for so many bytes.
  void make_room(std::size_t bytes);

  std::size_t most_, bytes_ = 0;
  Known known_;
  std::deque<Known::iterator> by_age_;  // oldest first
};

}  // namespace heatproof
