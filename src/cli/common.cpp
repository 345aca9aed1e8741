#include "cli/common.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/messages.h"
#include "heatproof/error.h"

namespace heatproof::cli {

void add_global_flags(CLI::App& app, GlobalFlags& flags) {
  app.add_flag("--json", flags.json, "machine-readable result on stdout, messages on stderr");
  app.add_flag("--quiet", flags.quiet, "no progress and no messages");
  app.add_option("--threads", flags.threads, "threads; 0: all cores")->check(CLI::Range(0, 1024));
  const CLI::Validator whole(
      [](const std::string& text) {
        std::uint64_t seed = 0;  // a larger number would become the largest
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
        const bool whole_number = error == std::errc() && end == text.data() + text.size();
        return whole_number ? std::string()
                            : fmt::format("'{}' is no seed; give a whole number from 0 to 2^64 - 1",
                                          abbreviated(text, 60));
      },
      "", "whole number");
  app.add_option("--seed", flags.seed, "of everything random")->check(whole);
}

void add_model_flags(CLI::App& app, ModelFlags& flags, bool model_required) {
  auto* model = app.add_option("MODEL", flags.model, "an .onnx file");
  if (model_required) model->required();
  app.add_option("--output-name", flags.output_name, "which output, for networks with several");
  app.add_option(
      "--memory", flags.memory,
      "working memory that batches may take, such as 512M or 2G; unless given, as much as this network's "
      "batches need (other batches move scores by rounding). Allows as much to networks that are refused "
      "since they take it out of proportion to their size");
  app.add_option("--batch", flags.batch, "batch size; 0: chosen from --memory")->check(CLI::Range(0, 4096));
  app.add_option("--resize", flags.resize, "pixels of the shorter side before the crop");
  app.add_option("--size", flags.size, "centre crop: one number, or height and width")
      ->delimiter(',')
      ->expected(1, 2);
  app.add_option("--channels", flags.channels, "rgb, bgr or gray");
  app.add_option("--range", flags.range, "pixel values run to 1 or to 255");
  app.add_option("--mean", flags.mean, "per channel, in that range")->delimiter(',');
  app.add_option("--std", flags.std, "per channel, in that range")->delimiter(',');
  app.add_option("--labels", flags.labels, "file with one label per line");
}

std::size_t parse_bytes(const std::string& text) {
  if (text.empty()) return 0;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  double scale = 1;
  if (*end == 'K' || *end == 'k')
    scale = 1024;
  else if (*end == 'M' || *end == 'm')
    scale = 1024.0 * 1024;
  else if (*end == 'G' || *end == 'g')
    scale = 1024.0 * 1024 * 1024;
  else if (*end != '\0')
    scale = 0;
  if (!(value * scale >= 1024.0 * 1024) || value * scale > 1e15)
    throw UsageError(fmt::format("--memory {}: give a size of at least 1M, such as 512M or 2G", text));
  return static_cast<std::size_t>(value * scale);
}

void check_arguments(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool flag = word.starts_with("--") && word.find('=') == word.size() - 1;
    if (!word.empty() && !flag) continue;
    const std::string_view before = i > 1 ? argv[i - 1] : "";
    throw UsageError(fmt::format("{} is empty; give a value, or leave it away",
                                 flag                       ? word.substr(0, word.size() - 1)
                                 : before.starts_with("--") ? before
                                                            : fmt::format("argument {}", i)));
  }
}

namespace {

/// Raised when recipes or metrics of the same words come to mean another number: what was stored before is
/// drawn by `report`, and measured again by `select`.
constexpr int kMeaning = 2;

Preprocessing preprocessing_of(const ModelFlags& flags, bool& declared) {
  Preprocessing p;
  const auto config = std::filesystem::path(flags.model).replace_extension(".toml");
  std::error_code error;
  declared = std::filesystem::exists(config, error);
  if (declared) p = read_model_config(config);
  const bool stated = flags.range.has_value() || !flags.mean.empty() || !flags.std.empty();
  declared |= stated;
  p.stated |= stated;
  if (flags.resize) p.resize = flags.resize;
  if (!flags.size.empty()) p.height = flags.size[0], p.width = flags.size.back();
  if (flags.channels) p.channels = *flags.channels;
  if (flags.range) p.range = *flags.range;
  if (!flags.mean.empty()) p.mean = flags.mean;
  if (!flags.std.empty()) p.std = flags.std;
  if (flags.labels) p.labels = *flags.labels;
  check(p);
  return p;
}

std::vector<std::int64_t> dims_of(const ModelInput& input) {
  std::vector<std::int64_t> dims;
  for (const auto& d : input.dims) dims.push_back(d.value_or(-1));
  return dims;
}

}  // namespace

Session::Session(const GlobalFlags& global, const ModelFlags& flags, bool selection)
    : Session(global, flags, Model::load(flags.model), selection) {}

Session::Session(const GlobalFlags& global, const ModelFlags& flags, Model model, bool selection)
    : model_(std::move(model)),
      flags_(flags),
      quiet_(global.quiet),
      predicting_(std::make_shared<Progress>("predict", selection || global.quiet)),
      explaining_(std::make_shared<Progress>("explain", selection || global.quiet)) {
  preprocessing_ = preprocessing_of(flags, has_box_);
  if (preprocessing_.labels) labels_ = Labels::read(*preprocessing_.labels);
  const std::vector<std::int64_t> dims = dims_of(model_.inputs().front());
  const ImageAxes axes = image_axes(dims);
  if (dims.size() == 4) {
    if (dims[axes.channels] == 1 && preprocessing_.channels == "rgb") preprocessing_.channels = "gray";
    if (!preprocessing_.height && dims[axes.height] > 0) preprocessing_.height = dims[axes.height];
    if (!preprocessing_.width && dims[axes.width] > 0) preprocessing_.width = dims[axes.width];
    check(preprocessing_);
  }
  Shape shape(std::span<const std::int64_t>(dims.data(), dims.size()));
  if (!shape.empty()) shape[0] = -1;  // any batch size
  bool open = false;
  for (std::size_t i = 1; i < shape.size(); ++i) {
    if (shape[i] > 0) continue;
    if (dims.size() == 4 && i == axes.height && preprocessing_.height)
      shape[i] = *preprocessing_.height;
    else if (dims.size() == 4 && i == axes.width && preprocessing_.width)
      shape[i] = *preprocessing_.width;
    else if (dims.size() == 4 && i == axes.channels)
      shape[i] = preprocessing_.channel_count();
    else
      open = true;
  }
  Specialization wanted;
  if (!open && !shape.empty()) wanted.shapes[model_.inputs().front().name] = shape;
  NetworkOptions options{
      .output_name = flags.output_name, .memory = parse_bytes(flags.memory), .batch = flags.batch};
  options.declared_batch = model_.declared_batch().value_or(0);
  options.notice = [quiet = global.quiet, said = std::make_shared<bool>(false),
                    file = model_.path().filename().string()](const std::string& what) {
    if (!quiet && !std::exchange(*said, true)) note(fmt::format("{}: {}", file, what));
  };
  options.file = model_.path().filename().string();
  options.steady = selection;
  options.needs = [said = std::make_shared<bool>(global.quiet)](std::size_t bytes) {
    const std::string line = memory_warning(bytes, free_memory());
    if (!line.empty() && !std::exchange(*said, true)) say("warning: " + line);
  };
  options.progress = [p = predicting_](std::int64_t done, std::int64_t total) { p->set(done, total); };
  network_ = std::make_unique<Network>(
      [read = model_, wanted](std::int64_t batch) {
        Specialization s = wanted;
        s.batch = batch;
        return read.specialize(s);
      },
      options);
}

InputSource Session::open(const std::string& path, std::int64_t most) const {
  const Shape& shape = network_->input_shape();
  InputSource source(path, preprocessing_, {shape.begin(), shape.end()}, most);
  warnings_ = warnings_of(source);
  for (const std::string& line : warnings_) {
    if (!quiet_) note("warning: " + line);
  }
  return source;
}

std::vector<std::string> Session::warnings_of(const InputSource& source) const {
  std::vector<std::string> lines;
  const std::string model = model_.path().filename().string();
  const std::string config = std::filesystem::path(model).replace_extension(".toml").string();
  const Preprocessing& p = preprocessing_;
  if (source.photos() && !p.stated)
    lines.push_back(
        fmt::format("nobody said how photos become the input of {}: {} pixels from 0 to {:g} are fed; if it "
                    "was trained on "
                    "others, give --range, --mean and --std, or write them into {}",
                    model, p.channels, p.range, config));
  if (source.photos()) return lines;
  if (source.pixels() && !p.stated)
    lines.push_back(
        fmt::format("nobody said how pixels become the input of {}: the uint8 values of {} are fed as they "
                    "are, from 0 to "
                    "255; if it was trained on others, give --range, --mean and --std, or write them into {}",
                    model, source.path().filename().string(), config));
  const std::string file = source.path().filename().string();
  if (flags_.resize)
    lines.push_back(fmt::format("--resize changes nothing in {}: arrays have the size that they have", file));
  if (flags_.channels)
    lines.push_back(fmt::format(
        "--channels only says in which colours {} is drawn: arrays have the channels that they have", file));
  const bool scales = flags_.range || !flags_.mean.empty() || !flags_.std.empty();
  if (scales && !source.pixels())
    lines.push_back(
        fmt::format("{} is no array of uint8 pixels and is fed as it is; --range, --mean and --std only say "
                    "where black and "
                    "white lie",
                    source.path().filename().string()));
  return lines;
}

void Session::at(std::int64_t first, std::int64_t inputs) const {
  predicting_->at(first, inputs);
  explaining_->at(first, inputs);
}

ExplainOptions Session::explain_options(std::uint64_t seed) const {
  ExplainOptions o;
  o.seed = seed;
  o.batch = network_->options().batch;
  o.progress = [p = explaining_](std::int64_t done, std::int64_t total) { p->set(done, total); };
  o.low = black();
  o.high = white();
  return o;
}

std::vector<double> Session::edge(std::vector<double> values) const {
  if (!has_box_) return {};
  const Shape& shape = network_->input_shape();
  const bool per_channel = shape.rank() > 1 && shape[1] == static_cast<std::int64_t>(values.size());
  const bool equal = std::ranges::all_of(values, [&](double v) { return v == values[0]; });
  if (!per_channel && equal) values.resize(1);
  return values;
}

std::string Session::context_hash() const {
  return sha256(fmt::format("{} {} {} {} {}", kMeaning, model_.hash(), network_->options().output_name,
                            fmt::join(black(), ","), fmt::join(white(), ",")));
}

ExplainOn explain_on(const Recipe& recipe, const ExplainOptions& options) {
  return [recipe, options](const Network& network, const Tensor& x, auto targets, auto ids) {
    return Explainer(network, {recipe}, options).explain(x, targets, ids).relevance[0];
  };
}

double parse_duration(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double scale = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (!(value * scale > 0) || value * scale > 1e9)
    throw UsageError(fmt::format("--budget {}: give a time such as 90s, 5m or 2h", text));
  return value * scale;
}

std::string command_line(int argc, const char* const* argv) {
  std::string line = "heatproof";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json" || word == "--quiet" || word.starts_with("--out=") || word.starts_with("--threads="))
      continue;
    if (word == "--out" || word == "--threads") {
      ++i;
      continue;
    }
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789-_=+:,./@%") == std::string::npos;
    line += plain ? " " + word : " '" + word + "'";
  }
  return line;
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), show_(!quiet && ::isatty(STDERR_FILENO) != 0) {}
Progress::~Progress() {
  if (show_) show_progress("\r\033[K");
}
void Progress::at(std::int64_t first, std::int64_t whole) {
  first_ = first;
  whole_ = whole;
}
void Progress::set(std::int64_t done, std::int64_t total) {
  if (!show_ || total <= 0) return;
  if (whole_ > 0) done += first_, total = whole_;
  if (done >= total) {  // what comes next may print a line
    show_progress("\r\033[K");
    return;
  }
  const auto filled = static_cast<std::size_t>(30 * std::min(done, total) / total);
  show_progress(fmt::format("\r{} [{}{}] {}/{}", what_, std::string(filled, '#'),
                            std::string(30 - filled, '.'), done, total));
}

void print_json(const nlohmann::json& json) {
  show_text(printable_json(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n");
}

}  // namespace heatproof::cli
