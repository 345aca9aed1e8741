#include "explain/walk_memo.h"

#include <algorithm>

#include "base/files.h"
#include "base/threads.h"

namespace heatproof {

namespace {

constexpr std::size_t kBookkeeping = 256;  // bytes of a walk's key and places in containers

/// All that the scores of a walk hang on, but the network.
std::string key_of(const Walks& walks, std::int64_t walk, ScoreKind kind) {
  Sha256 hash;
  std::vector<std::int64_t> how{static_cast<std::int64_t>(kind), walks.steps,
                                static_cast<std::int64_t>(walks.patch.size())};
  how.insert(how.end(), walks.patch.begin(), walks.patch.end());
  hash.add_values(how);
  hash.add_values(walks.base(walk));
  walks.changes(walk, hash);
  return hash.digits();
}

std::vector<std::string> keys_of(const Walks& walks, ScoreKind kind) {
  std::vector<std::string> keys(static_cast<std::size_t>(walks.count));
  try_parallel_for(walks.count,
                   [&](std::int64_t w) { keys[static_cast<std::size_t>(w)] = key_of(walks, w, kind); });
  return keys;
}

std::size_t bytes_of(std::size_t scores) { return scores * sizeof(float) + kBookkeeping; }

/// Some of the walks.
Walks chosen(const Walks& walks, std::vector<std::int64_t> which) {
  Walks few = walks;
  few.count = static_cast<std::int64_t>(which.size());
  const auto at = [which = std::move(which)](std::int64_t w) { return which[static_cast<std::size_t>(w)]; };
  few.base = [&walks, at](std::int64_t w) { return walks.base(at(w)); };
  few.fill = [&walks, at](std::int64_t w, std::int64_t step, std::span<float> x) {
    walks.fill(at(w), step, x);
  };
  if (walks.advance)
    few.advance = [&walks, at](std::int64_t w, std::int64_t step, std::span<float> x) {
      return walks.advance(at(w), step, x);
    };
  return few;
}

}  // namespace

void WalkMemo::run(const Walks& walks, ScoreKind kind, std::int64_t classes,
                   const std::function<void(const Walks&)>& compute) {
  const auto row = static_cast<std::size_t>(classes);
  const std::vector<std::string> keys = keys_of(walks, kind);
  std::vector<std::vector<std::int64_t>> equal;  // walks that nobody knows, in sets of equal ones
  std::map<std::string, std::size_t> set_of;
  for (std::int64_t w = 0; w < walks.count; ++w) {
    const std::string& key = keys[static_cast<std::size_t>(w)];
    if (const auto it = known_.find(key); it != known_.end()) {
      for (std::int64_t step = 0; step < walks.steps; ++step)
        walks.use(w, step, std::span(it->second).subspan(static_cast<std::size_t>(step) * row, row));
      continue;
    }
    const auto [it, is_new] = set_of.try_emplace(key, equal.size());
    if (is_new) equal.emplace_back();
    equal[it->second].push_back(w);
  }
  if (equal.empty()) return;
  std::vector<std::int64_t> first;
  for (const auto& set : equal) first.push_back(set[0]);
  const std::size_t size = static_cast<std::size_t>(walks.steps) * row;
  std::vector<Rows> scores(std::min(equal.size(), most_ / bytes_of(size)));  // as many as may be kept
  make_room(scores.size() * bytes_of(size));
  Walks unknown = chosen(walks, first);
  unknown.use = [&](std::int64_t w, std::int64_t step, std::span<const float> s) {
    const auto at = static_cast<std::size_t>(w);
    for (const std::int64_t walk : equal[at]) walks.use(walk, step, s);
    if (at >= scores.size()) return;
    scores[at].resize(size);
    std::ranges::copy(s, scores[at].begin() + static_cast<std::ptrdiff_t>(step * classes));
  };
  compute(unknown);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    by_age_.push_back(known_.emplace(keys[static_cast<std::size_t>(first[i])], std::move(scores[i])).first);
    bytes_ += bytes_of(size);
  }
}

void WalkMemo::make_room(std::size_t bytes) {
  while (!by_age_.empty() && bytes_ + bytes > most_) {
    bytes_ -= bytes_of(by_age_.front()->second.size());
    known_.erase(by_age_.front());
    by_age_.pop_front();
  }
}

}  // namespace heatproof
