// What commands share: flags of models and inputs, targets, output.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/input_source.h"
#include "explain/explainer.h"
#include "explain/network.h"
#include "onnx/model.h"
#include "validate/metric.h"

namespace heatproof::cli {

/// Flags of every command.
struct GlobalFlags {
  bool json = false;
  bool quiet = false;
  int threads = 0;
  std::uint64_t seed = 0;
  std::string command;  // what the user typed, without flags that change no result
};

/// Joins the arguments to one line, quoted for a shell, without --out, --threads, --json and --quiet.
std::string command_line(int argc, const char* const* argv);

/// Flags that say which network, and how photos become its input.
struct ModelFlags {
  std::string model;
  std::string output_name;
  std::string memory;  // empty: what the network needs
  std::int64_t batch = 0;
  std::optional<std::int64_t> resize;
  std::vector<std::int64_t> size;
  std::optional<std::string> channels, labels;
  std::optional<double> range;
  std::vector<double> mean, std;

  /// Whether a flag says how pixels become inputs.
  bool prepares() const {
    return resize || !size.empty() || channels || range || !mean.empty() || !std.empty();
  }
};

void add_global_flags(CLI::App& app, GlobalFlags& flags);
void add_model_flags(CLI::App& app, ModelFlags& flags, bool model_required = true);

/// Progress on a terminal's stderr; silent elsewhere.
class Progress {
 public:
  Progress(std::string what, bool quiet);
  ~Progress();
  void set(std::int64_t done, std::int64_t total);
  /// What is set from now on is a part, which starts at `first` of `whole`; 0: all.
  void at(std::int64_t first, std::int64_t whole);

 private:
  std::string what_;
  bool show_;
  std::int64_t first_ = 0, whole_ = 0;
};

/// A loaded model with everything that the flags and MODEL.toml say of it.
class Session {
 public:
  /// selection: no progress of its own, and a network whose results do not hang on what is asked for at once.
  Session(const GlobalFlags& global, const ModelFlags& flags, bool selection = false);
  /// Of a model that has been read already.
  Session(const GlobalFlags& global, const ModelFlags& flags, Model model, bool selection = false);

  const Model& model() const { return model_; }
  const Network& network() const { return *network_; }
  const Preprocessing& preprocessing() const { return preprocessing_; }
  const Labels& labels() const { return labels_; }
  /// True when the input's range is known, from photos' preprocessing.
  bool has_box() const { return has_box_; }

  /// Inputs as the network takes them. Warns of what nobody said of them, and of flags that do not apply.
  InputSource open(const std::string& path, std::int64_t most = 0) const;
  /// Those warnings, for reports.
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Progress from now on is that of a part of all inputs.
  void at(std::int64_t first, std::int64_t inputs) const;
  ExplainOptions explain_options(std::uint64_t seed) const;
  /// Hash of all but the input that an explanation's score depends on: model, output, preprocessing of
  /// pixels.
  std::string context_hash() const;
  /// Values of black and white in the network's input, per channel; empty when unknown.
  std::vector<double> black() const { return edge(preprocessing_.black()); }
  std::vector<double> white() const { return edge(preprocessing_.white()); }

 private:
  std::vector<std::string> warnings_of(const InputSource& source) const;
  /// Of the box: one value for all, where the network's input has no such channels and values are equal.
  std::vector<double> edge(std::vector<double> values) const;

  Model model_;
  Preprocessing preprocessing_;
  Labels labels_;
  std::unique_ptr<Network> network_;
  bool has_box_ = false;
  ModelFlags flags_;
  bool quiet_ = false;
  mutable std::vector<std::string> warnings_;
  std::shared_ptr<Progress> predicting_, explaining_;
};

/// Explains with a recipe on other networks.
ExplainOn explain_on(const Recipe& recipe, const ExplainOptions& options);

/// Seconds of "90s", "5m", "2h" or a plain number. Throws UsageError.
double parse_duration(const std::string& text);

/// Bytes of "512M", "2G" or a plain number; 0 of nothing. Throws UsageError.
std::size_t parse_bytes(const std::string& text);

/// Throws UsageError for an argument that is empty, such as a shell makes of a variable that is not set: only
/// what is not there at all has a default.
void check_arguments(int argc, const char* const* argv);

/// Prints one JSON document to stdout; NaN and infinities become null, bytes that are no UTF-8 become U+FFFD.
void print_json(const nlohmann::json& json);

// Commands: one file each. Each adds its subcommand, which runs when it is parsed.
void add_run(CLI::App& app, GlobalFlags& global);
void add_inspect(CLI::App& app, GlobalFlags& global);
void add_explain(CLI::App& app, GlobalFlags& global);
void add_evaluate(CLI::App& app, GlobalFlags& global);
void add_check(CLI::App& app, GlobalFlags& global);
void add_select(CLI::App& app, GlobalFlags& global);
void add_report(CLI::App& app, GlobalFlags& global);
void add_bench(CLI::App& app, GlobalFlags& global);
void add_merge(CLI::App& app, GlobalFlags& global);
void add_list(CLI::App& app, GlobalFlags& global);
void add_demo(CLI::App& app, GlobalFlags& global);
void add_synth(CLI::App& app, GlobalFlags& global);

}  // namespace heatproof::cli
