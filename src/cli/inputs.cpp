#include "cli/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/files.h"
#include "base/text.h"
#include "cli/health.h"
#include "cli/outputs.h"
#include "data/npy.h"
#include "heatproof/error.h"

namespace heatproof::cli {

namespace {

/// Indices of classes, which may be saved as any type of numbers, if they are whole.
std::vector<std::int64_t> classes_of(const Tensor& t, const std::string& name) {
  if (t.dtype() == DType::i64) return {t.data<std::int64_t>().begin(), t.data<std::int64_t>().end()};
  std::vector<std::int64_t> classes;
  if (t.dtype() == DType::boolean)
    throw InputError(fmt::format("{}: holds truth values; indices of classes are needed", name));
  for (float v : t.data<float>()) {
    if (!(std::fabs(v) < 1e7F) || v != std::floor(v))
      throw InputError(fmt::format("{}: {} is no index of a class; whole numbers are needed", name, v));
    classes.push_back(static_cast<std::int64_t>(v));
  }
  return classes;
}

}  // namespace

Targets::Targets(const std::string& text, const Session& session, const InputSource& inputs) {
  if (text == "auto") return;
  if (text.ends_with(".npy")) {
    const NpyFile file(text);
    const std::int64_t n = inputs.count();
    if (file.shape().elements() != n)
      throw InputError(fmt::format("{}: holds {} classes, {} are needed, one per input", text,
                                   file.shape().elements(), n));
    each_ = classes_of(file.shape().empty() ? read_npy(text) : file.rows(0, file.shape()[0]), text);
    for (const std::int64_t index : each_) {
      if (index < 0 || index >= session.network().classes())
        throw InputError(fmt::format("{}: class {}, and the network has classes 0 to {}", text, index,
                                     session.network().classes() - 1));
    }
    return;
  }
  char* end = nullptr;
  std::int64_t index = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') {
    if (session.labels().empty())
      throw UsageError(fmt::format("--target {}: no labels are known; give an index or --labels FILE",
                                   abbreviated(text, 100)));
    if (!has_labels(session.network()))
      throw UsageError(
          fmt::format("--target {}: labels name classes, and the network has {} outputs at many places; give "
                      "an output's flat index",
                      abbreviated(text, 100), session.network().classes()));
    index = session.labels().find(text);
  }
  if (index < 0 || index >= session.network().classes())
    throw UsageError(fmt::format("--target {}: the network has classes 0 to {}", abbreviated(text, 100),
                                 session.network().classes() - 1));
  same_ = index;
}

std::vector<std::int64_t> Targets::of(const InputSet& set, const Tensor& logits) const {
  if (same_) return std::vector<std::int64_t>(set.items.size(), *same_);
  if (each_.empty()) return argmax_rows(logits);
  std::vector<std::int64_t> targets;
  for (const InputItem& item : set.items) targets.push_back(each_[static_cast<std::size_t>(item.index)]);
  return targets;
}

Donors Survey::donors(const InputSource& inputs) const {
  return {sample_ids(items), argmax_rows(logits),
          [shelf = InputShelf(inputs, items)](std::int64_t i) { return shelf.read(i); }};
}

Survey survey(const Session& session, const InputSource& inputs, const Targets& targets, const Masks& masks) {
  const std::int64_t together = inputs.places() == 1 ? 1 : session.network().batch();
  Survey s;
  s.least = INFINITY;
  s.most = -INFINITY;
  std::vector<Tensor> logits;
  InputStream stream(inputs);
  for (InputSet set = stream.next(together); set.size() > 0; set = stream.next(together)) {
    session.at(s.size(), inputs.places());
    logits.push_back(session.network().predict(set.inputs));
    const auto t = targets.of(set, logits.back());
    s.targets.insert(s.targets.end(), t.begin(), t.end());
    const auto [least, most] = std::ranges::minmax(set.inputs.data<float>());
    s.least = std::min(s.least, least);
    s.most = std::max(s.most, most);
    masks.read(set);
    for (std::int64_t i = 0; set.masks.defined() && i < set.size(); ++i) {
      const Tensor mask = set.masks.rows(i, i + 1);
      s.mask_hashes.push_back(sha256({static_cast<const char*>(mask.raw()), mask.bytes()}));
    }
    s.items.insert(s.items.end(), set.items.begin(), set.items.end());
  }
  s.logits = concatenate(logits);
  s.skipped = stream.skipped();
  s.odd = stream.odd();
  return s;
}

namespace {

/// "a.png (why), b.png (why) and 3 more"; short enough for a line.
std::string named(const std::vector<SkippedFile>& files) {
  constexpr std::size_t kNamed = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kNamed, files.size()); ++i)
    text += fmt::format("{}{} ({})", i == 0 ? "" : ", ", abbreviated(files[i].name, 40),
                        abbreviated(files[i].reason, 80));
  return files.size() > kNamed ? text + fmt::format(" and {} more", files.size() - kNamed) : text;
}

}  // namespace

std::string left_out(const std::vector<SkippedFile>& skipped, std::size_t read) {
  if (skipped.empty()) return {};
  return fmt::format("{} of {} images {} left out: {}", skipped.size(), skipped.size() + read,
                     skipped.size() == 1 ? "was" : "were", named(skipped));
}

std::string looked_at_twice(const std::vector<SkippedFile>& odd) {
  return odd.empty() ? "" : fmt::format("warning: look at {}", named(odd));
}

void warn_of_files(const GlobalFlags& global, const std::vector<SkippedFile>& skipped,
                   const std::vector<SkippedFile>& odd, std::size_t read) {
  for (const std::string& line : {left_out(skipped, read), looked_at_twice(odd)}) {
    if (!line.empty()) warn(global, line);
  }
}

std::vector<std::string> with_odd(std::vector<std::string> warnings, const std::vector<SkippedFile>& odd) {
  if (!odd.empty()) warnings.push_back(looked_at_twice(odd));
  return warnings;
}

nlohmann::json to_json(const std::vector<SkippedFile>& files) {
  nlohmann::json list = nlohmann::json::array();
  for (const SkippedFile& f : files) list.push_back({{"name", f.name}, {"reason", f.reason}});
  return list;
}

std::int64_t explained_together(const Session& session, Explainer& explainer, const InputSource& inputs) {
  if (inputs.places() == 1) return 1;
  const std::int64_t predicted = session.network().batch();
  const std::int64_t explained = explainer.batch();
  return (std::max(predicted, 2 * explained) + explained - 1) / explained * explained;
}

std::int64_t measured_together(const InputSource& inputs, bool compares_samples) {
  constexpr std::int64_t kLeast = 8;  // as select measures
  constexpr std::int64_t kMost = 1024;
  constexpr std::int64_t kBytes = std::int64_t{1} << 25;
  if (compares_samples) return inputs.places();
  return std::clamp(kBytes / inputs.sample_bytes() / kLeast * kLeast, kLeast, kMost);
}

Masks masks_of(const InputSource& inputs, const std::string& option, const std::string& metric) {
  if (!option.empty()) return Masks::at(option, inputs);
  Masks masks = Masks::beside(inputs);
  if (!masks && !metric.empty())
    throw UsageError(fmt::format(
        "{} needs masks; give --masks FOLDER or FILE.npy, or put NAME.mask.png beside each image", metric));
  return masks;
}

std::vector<std::uint64_t> sample_ids(std::span<const InputItem> items) {
  std::vector<std::uint64_t> ids;
  for (const InputItem& item : items) ids.push_back(sample_id(item.hash));
  return ids;
}

std::vector<std::filesystem::path> files_read(const Session& session, std::vector<std::string> others) {
  std::vector<std::filesystem::path> files(others.begin(), others.end());
  const std::filesystem::path model = session.model().path();
  files.push_back(model);
  files.push_back(std::filesystem::path(model).replace_extension(".toml"));
  if (session.preprocessing().labels) files.push_back(*session.preprocessing().labels);
  return files;
}

}  // namespace heatproof::cli
