#include "data/input_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "base/threads.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

constexpr std::int64_t kMostAhead = 16;
constexpr std::int64_t kBytesAhead = std::int64_t{1} << 25;

/// A sample that was read before, read again.
LoadedInput load_again(const InputSource& source, const InputItem& known) {
  LoadedInput loaded = source.load(known.place);
  if (loaded.item.hash != known.hash)
    throw InputError(
        fmt::format("{}: {} changed while it was being used; run again", source.path().string(), known.name));
  loaded.item.index = known.index;
  return loaded;
}

}  // namespace

/// Decoded samples in order. Whoever decodes claims the next position; positions below `limit_` may be
/// claimed.
class InputStream::Queue {
 public:
  using Load = std::function<LoadedInput(std::int64_t position)>;

  Queue(Load load, std::int64_t count, std::int64_t ahead)
      : load_(std::move(load)), count_(count), ahead_(ahead), limit_(std::min(count, ahead)) {
    if (threads() > 1) behind_ = std::thread([this] { decode_behind(); });
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (behind_.joinable()) behind_.join();
  }

  std::int64_t ahead() const { return ahead_; }

  /// The next sample; decodes it and those after it, `most` in all, where it is not there yet.
  LoadedInput pop(std::int64_t most) {
    std::unique_lock lock(mutex_);
    if (!ready()) {
      const std::int64_t end = std::min(count_, first_ + most);
      lock.unlock();
      parallel_for(threads(), 1, [&](std::int64_t, std::int64_t) {
        while (decode_one(end)) {
        }
      });
      lock.lock();
      changed_.wait(lock, [&] { return ready(); });  // for what the other thread has claimed
    }
    Slot slot = std::move(slots_.front());
    slots_.pop_front();
    ++first_;
    limit_ = std::min(count_, first_ + ahead_);
    lock.unlock();
    changed_.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(*slot.loaded);
  }

 private:
  struct Slot {
    std::optional<LoadedInput> loaded;
    std::exception_ptr error;
  };

  bool ready() const { return !slots_.empty() && (slots_.front().loaded || slots_.front().error); }

  /// Claims the next position below `end` and decodes it; false where there is none.
  bool decode_one(std::int64_t end) {
    std::unique_lock lock(mutex_);
    if (claimed_ >= end) return false;
    const std::int64_t position = claimed_++;
    slots_.emplace_back();
    lock.unlock();
    Slot done;
    try {
      done.loaded = load_(position);
    } catch (...) {
      done.error = std::current_exception();
    }
    lock.lock();
    slots_[static_cast<std::size_t>(position - first_)] = std::move(done);
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  void decode_behind() {
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || claimed_ < limit_; });
      if (stop_) return;
      const std::int64_t limit = limit_;
      lock.unlock();
      decode_one(limit);
    }
  }

  const Load load_;
  const std::int64_t count_, ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Slot> slots_;  // positions from first_ on
  std::int64_t first_ = 0, claimed_ = 0, limit_;
  bool stop_ = false;
  std::thread behind_;
};

InputStream::InputStream(const InputSource& source)
    : source_(source), again_(false), places_(source.places()) {
  const std::int64_t ahead = std::clamp<std::int64_t>(kBytesAhead / source.sample_bytes(), 2, kMostAhead);
  queue_ = std::make_unique<Queue>([&source](std::int64_t k) { return source.load(k); }, places_, ahead);
}

InputStream::InputStream(const InputSource& source, std::vector<InputItem> samples)
    : source_(source),
      again_(true),
      known_(std::move(samples)),
      places_(static_cast<std::int64_t>(known_.size())) {
  const std::int64_t ahead = std::clamp<std::int64_t>(kBytesAhead / source.sample_bytes(), 2, kMostAhead);
  queue_ = std::make_unique<Queue>(
      [this](std::int64_t k) { return load_again(source_, known_[static_cast<std::size_t>(k)]); }, places_,
      ahead);
}

InputStream::~InputStream() = default;

std::int64_t InputStream::ahead() const { return queue_->ahead(); }

InputSet InputStream::next(std::int64_t most) {
  InputSet set;
  std::vector<Tensor> inputs;
  while (set.size() < most && taken_ < places_) {
    const std::int64_t place = taken_++;
    try {
      take(queue_->pop(most - set.size()), set, inputs);
    } catch (const InputError& e) {
      if (!source_.photos() || again_) throw;
      std::string reason = e.what();  // which begins with the path
      if (const std::string path = source_.file(place).string() + ": "; reason.starts_with(path))
        reason.erase(0, path.size());
      skipped_.push_back({source_.name(place), std::move(reason)});
    }
  }
  if (!again_ && taken_ == places_ && shape_.empty()) throw_nothing_read();
  if (!inputs.empty()) set.inputs = inputs.size() == 1 ? inputs[0] : concatenate(inputs);
  return set;
}

void InputStream::take(LoadedInput loaded, InputSet& set, std::vector<Tensor>& inputs) {
  if (shape_.empty()) {
    source_.check_shape(loaded.input.shape());
    shape_ = loaded.input.shape();
  } else if (loaded.input.shape() != shape_) {
    skipped_.push_back({loaded.item.name, "another size than the others; use --size"});
    return;
  }
  if (!loaded.oddity.empty()) odd_.push_back({loaded.item.name, loaded.oddity});
  if (!again_) loaded.item.index = taken_ - 1 - static_cast<std::int64_t>(skipped_.size());
  set.items.push_back(std::move(loaded.item));
  inputs.push_back(std::move(loaded.input));
  if (source_.photos()) set.rgb.push_back(std::move(loaded.rgb));
}

void InputStream::throw_nothing_read() const {
  const std::string& reason = skipped_[0].reason;
  throw InputError(skipped_.size() == 1
                       ? fmt::format("{}: {}", source_.file(0).string(), reason)
                       : fmt::format("{}: none of {} images can be read; the first, {}: {}",
                                     source_.path().string(), places_, skipped_[0].name, reason));
}

LoadedSet load_inputs(const std::filesystem::path& path, const Preprocessing& preprocessing,
                      const std::vector<std::int64_t>& expected, std::int64_t most) {
  const InputSource source(path, preprocessing, expected, most);
  InputStream stream(source);
  LoadedSet set{stream.next(source.places()), {}};
  set.skipped = stream.skipped();
  return set;
}

struct InputShelf::State {
  const InputSource& source;
  std::vector<InputItem> samples;
  std::mutex mutex;
  std::deque<std::pair<std::int64_t, Tensor>> kept;  // used last comes last
};

InputShelf::InputShelf(const InputSource& source, std::vector<InputItem> samples)
    : state_(new State{source, std::move(samples), {}, {}}) {}

Tensor InputShelf::read(std::int64_t sample) const {
  constexpr std::size_t kKept = 24;  // focus borrows three for each of a group of eight
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const auto at = std::ranges::find(s.kept, sample, [](const auto& k) { return k.first; });
  if (at != s.kept.end()) {
    std::rotate(at, at + 1, s.kept.end());
    return s.kept.back().second;
  }
  s.kept.emplace_back(sample, load_again(s.source, s.samples[static_cast<std::size_t>(sample)]).input);
  if (s.kept.size() > kKept) s.kept.pop_front();
  return s.kept.back().second;
}

}  // namespace heatproof
