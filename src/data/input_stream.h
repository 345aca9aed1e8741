// Reads samples in order, ahead of who works on them.
//
//   InputStream stream(source);
//   for (InputSet set = stream.next(16); set.size() > 0; set = stream.next(16)) work(set);
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "data/input_source.h"

namespace heatproof {

/// One thread decodes a few samples ahead in the background; who has to wait for samples helps to decode
/// them, with all threads. Thus at most `ahead` samples are held besides those that were handed out or asked
/// for. Only the stream's owner calls it.
class InputStream {
 public:
  /// All of the source. Photos that cannot be read, or have another size than the first, are skipped.
  explicit InputStream(const InputSource& source);
  /// Samples that were read before, in this order. `next` throws InputError where one has changed since.
  InputStream(const InputSource& source, std::vector<InputItem> samples);
  ~InputStream();
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;

  /// The next samples, fewer at the end. Throws InputError, in the order of the samples, for rows that are no
  /// numbers, and at the end where not a single photo could be read.
  InputSet next(std::int64_t most);
  /// So far.
  const std::vector<SkippedFile>& skipped() const { return skipped_; }
  /// Photos that were read, and why one should look at them; so far.
  const std::vector<SkippedFile>& odd() const { return odd_; }
  /// How many decoded samples are held at the same time.
  std::int64_t ahead() const;

 private:
  class Queue;

  /// Adds a sample, or says why not.
  void take(LoadedInput loaded, InputSet& set, std::vector<Tensor>& inputs);
  [[noreturn]] void throw_nothing_read() const;

  const InputSource& source_;
  const bool again_;
  std::vector<InputItem> known_;  // of samples that are read again
  std::unique_ptr<Queue> queue_;
  std::vector<SkippedFile> skipped_, odd_;
  Shape shape_;  // of the first sample
  std::int64_t taken_ = 0, places_ = 0;
};

/// All samples at once.
struct LoadedSet : InputSet {
  std::vector<SkippedFile> skipped;  // unreadable files of a folder
};
/// As an InputSource and its stream take and throw.
LoadedSet load_inputs(const std::filesystem::path& path, const Preprocessing& preprocessing,
                      const std::vector<std::int64_t>& expected, std::int64_t most = 0);

/// Reads single samples again. The last few are kept, since several recipes ask for the same. Safe to call
/// from several threads.
class InputShelf {
 public:
  InputShelf(const InputSource& source, std::vector<InputItem> samples);
  /// [1, ...]. Throws InputError where it has changed since it was read first.
  Tensor read(std::int64_t sample) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace heatproof
