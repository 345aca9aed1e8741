// How commands go through their inputs, a few at a time.
#pragma once

#include "cli/common.h"
#include "data/input_stream.h"
#include "data/masks.h"

namespace heatproof::cli {

/// Classes to explain: `auto`, an index, a label or a .npy of one index per input.
class Targets {
 public:
  /// Throws UsageError for classes that the network does not have, InputError for a file of another length.
  Targets(const std::string& text, const Session& session, const InputSource& inputs);
  /// Of some samples. `logits`: for auto.
  std::vector<std::int64_t> of(const InputSet& set, const Tensor& logits) const;

 private:
  std::vector<std::int64_t> each_;    // of a file
  std::optional<std::int64_t> same_;  // for all
};

/// What is known of all inputs once they were read; inputs and masks themselves are read again.
struct Survey {
  std::vector<InputItem> items;
  std::vector<SkippedFile> skipped, odd;
  Tensor logits;  // [N, classes]
  std::vector<std::int64_t> targets;
  std::vector<std::string> mask_hashes;  // SHA-256 of each; empty where there are none
  float least = 0, most = 0;             // of the inputs' values

  std::int64_t size() const { return static_cast<std::int64_t>(items.size()); }
  /// Predictions and numbers of all samples, which metrics may borrow; they are read from `inputs`.
  Donors donors(const InputSource& inputs) const;
};
Survey survey(const Session& session, const InputSource& inputs, const Targets& targets, const Masks& masks);

/// "2 of 100 images were left out: a.png (why), ..." of the first few; empty where all could be read.
std::string left_out(const std::vector<SkippedFile>& skipped, std::size_t read);
/// The same of photos that were read, and are odd.
std::string looked_at_twice(const std::vector<SkippedFile>& odd);
/// Prints both, unless quiet.
void warn_of_files(const GlobalFlags& global, const std::vector<SkippedFile>& skipped,
                   const std::vector<SkippedFile>& odd, std::size_t read);
/// Warnings, and what is odd of photos.
std::vector<std::string> with_odd(std::vector<std::string> warnings, const std::vector<SkippedFile>& odd);
/// `[{"name", "reason"}, ...]`.
nlohmann::json to_json(const std::vector<SkippedFile>& files);

/// Samples that are explained together: whole batches of both programs.
std::int64_t explained_together(const Session& session, Explainer& explainer, const InputSource& inputs);
/// Samples that metrics see together, which share what is compiled for them; all, where metrics compare them.
std::int64_t measured_together(const InputSource& inputs, bool compares_samples);

/// The masks of `option` (--masks), or where it is empty those that lie beside the inputs. Throws UsageError
/// where there are none although `metric` (empty: nothing) needs them.
Masks masks_of(const InputSource& inputs, const std::string& option, const std::string& metric);

/// Numbers of the samples in random streams.
std::vector<std::uint64_t> sample_ids(std::span<const InputItem> items);

/// What a command reads: the model, its settings and labels, and `others`, of which those that are empty or
/// words are none.
std::vector<std::filesystem::path> files_read(const Session& session, std::vector<std::string> others);

}  // namespace heatproof::cli
