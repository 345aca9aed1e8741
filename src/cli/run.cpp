// heatproof run: a plain forward pass.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cli/file_names.h"
#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/messages.h"
#include "cli/outputs.h"
#include "data/npy.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "ops/convolution.h"
#include "ops/footprint.h"

namespace heatproof::cli {

namespace {

struct RunFlags {
  ModelFlags model;
  std::string input, output, output_dir;
  std::vector<std::string> inputs;
  bool allow_nonfinite = false;
};

bool all_finite(const Tensor& t) {
  return t.dtype() != DType::f32 ||
         std::ranges::all_of(t.data<float>(), [](float v) { return std::isfinite(v); });
}

/// Throws where results are not finite, or says so where that is allowed.
void refuse_or_warn(const GlobalFlags& global, const RunFlags& f, const std::string& line) {
  if (!f.allow_nonfinite) throw Error(line + "; nothing was written, unless --allow-nonfinite is given");
  warn(global, line);
}

/// Of all rows that are given at once.
Program program_of(const Model& model, const Graph& graph, std::size_t memory) {
  const auto where = [&](const std::exception& e) {
    const std::string file = model.path().filename().string();
    return std::string_view(e.what()).starts_with(file) ? e.what() : fmt::format("{}: {}", file, e.what());
  };
  try {
    check_footprint(graph, {.memory = memory});
    return compile(graph);
  } catch (const UnsupportedError& e) {
    throw UnsupportedError(where(e));
  } catch (const Error& e) {
    throw Error(where(e), e.exit_code());
  }
}

/// Any inputs by name, all outputs.
void run_named(const GlobalFlags& global, const RunFlags& f) {
  if (f.model.prepares())
    throw UsageError(
        "--input takes arrays as they are; leave --resize, --size, --channels, --range, --mean and --std "
        "away, or "
        "give INPUT");
  const Model model = Model::load(f.model.model);
  std::map<std::string, Tensor> given;
  for (const std::string& item : f.inputs) {
    const auto equals = item.find('=');
    if (equals == std::string::npos) throw UsageError(fmt::format("--input {}: write NAME=FILE.npy", item));
    const std::string file = item.substr(equals + 1);
    const Tensor& t = given[item.substr(0, equals)] = read_npy(file);
    if (t.dtype() == DType::f32 && !f.allow_nonfinite) check_finite(t, file);
  }
  Specialization wanted;
  for (const ModelInput& input : model.inputs()) {
    const auto it = given.find(input.name);
    if (it == given.end())
      throw UsageError(
          fmt::format("input '{}' was not given; add --input {}=FILE.npy", input.name, input.name));
    if (input.dtype == DType::f32) it->second = to_float(it->second);
    if (input.dtype != it->second.dtype())
      throw InputError(fmt::format("input '{}' takes {}; save the array as such", input.name,
                                   input.dtype == DType::i64 ? "integers (int64)" : "truth values (bool)"));
    wanted.shapes[input.name] = it->second.shape();
    if (&input == &model.inputs().front() && !it->second.shape().empty())
      wanted.batch = it->second.shape()[0];
  }
  const Graph graph = canonicalize(model.specialize(wanted));
  std::vector<Tensor> tensors;
  for (NodeId id : graph.inputs()) tensors.push_back(given.at(graph.node(id).name));
  const std::vector<Tensor> results =
      Workspace(program_of(model, graph, parse_bytes(f.model.memory))).run(tensors);
  nlohmann::json files = nlohmann::json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (all_finite(results[i])) continue;
    refuse_or_warn(
        global, f,
        fmt::format("{}: output '{}' is not finite{}; check how inputs are prepared, and the model",
                    f.model.model, graph.outputs()[i].name, where_not_finite(graph, tensors)));
    break;
  }
  std::vector<std::string> names;
  for (const Output& output : graph.outputs()) names.push_back(output.name);
  names = file_names(names, "", std::string_view(".npy").size());
  std::vector<std::filesystem::path> read{f.model.model};
  for (const std::string& item : f.inputs) read.emplace_back(item.substr(item.find('=') + 1));
  const std::filesystem::path folder = f.output_dir.empty() ? "." : f.output_dir;
  for (const std::string& name : names) must_not_replace("--output-dir", folder / (name + ".npy"), read);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto path = folder / (names[i] + ".npy");
    write_file(path, format_npy(results[i]));
    files.push_back(path.string());
  }
  if (global.json) print_json({{"outputs", files}});
}

/// The output as the network gives it, batch by batch.
class RawOutput {
 public:
  /// many: transformed weights pay.
  RawOutput(const Session& session, bool many) : network_(session.network()), many_(many) {}

  Tensor of(const Tensor& inputs) {
    const std::int64_t n = inputs.shape()[0];
    const std::int64_t rows = network_.fit(n);
    if (rows == n) return workspace(n).run({inputs})[0];
    std::vector<Tensor> results;
    for (std::int64_t done = 0; done < n; done += rows) {
      std::vector<Tensor> part;  // copies of the last row fill it
      for (std::int64_t i = done; i < done + rows; ++i)
        part.push_back(inputs.rows(std::min(i, n - 1), std::min(i, n - 1) + 1));
      const Tensor all = workspace(rows).run({concatenate(part)})[0];
      results.push_back(all.rows(0, std::min(rows, n - done)).clone());
    }
    return concatenate(results);
  }
  /// Of a batch; its first axis is that of rows.
  Shape shape() {
    const Graph some = graph(network_.unit());
    return some.node(some.outputs()[0].id).type.shape;
  }

 private:
  Graph graph(std::int64_t count) const {
    Builder g;
    Shape shape = network_.input_shape();
    shape[0] = count;
    g.output("output", forward_view(g, network_.graph(count), g.input("x", {DType::f32, shape}),
                                    network_.options().output_name)
                           .output);
    return g.build();
  }

  Workspace& workspace(std::int64_t count) {
    const auto it = workspaces_.find(count);
    if (it != workspaces_.end()) return it->second;
    const auto how = many_ ? Convolutions::fastest : Convolutions::direct;
    return workspaces_.emplace(count, Workspace(network_.compile(graph(count), how))).first->second;
  }

  const Network& network_;
  const bool many_;
  std::map<std::int64_t, Workspace> workspaces_;
};

/// Samples whose results are not finite.
struct NotFinite {
  std::size_t count = 0;
  std::string first;  // name
  Tensor input;       // of the first

  /// Whether sample i of a set is one of them.
  bool add(const InputSet& set, std::size_t i, const Tensor& output, const Tensor& logits) {
    const auto row = static_cast<std::int64_t>(i);
    const bool finite =
        all_finite(logits.rows(row, row + 1)) && (!output.defined() || all_finite(output.rows(row, row + 1)));
    if (finite) return false;
    if (count++ == 0) first = set.items[i].name, input = set.inputs.rows(row, row + 1).clone();
    return true;
  }
  std::string text(const Session& session, std::size_t samples) const {
    return fmt::format(
        "the output is not finite for {} of {} samples (first: {}){}; check how inputs are "
        "prepared, and the model",
        count, samples, first, where_not_finite(session.network(), input));
  }
};

void run(const GlobalFlags& global, const RunFlags& f) {
  if (!f.inputs.empty()) return run_named(global, f);
  if (f.input.empty()) throw UsageError("run needs INPUT, or --input NAME=FILE.npy for every input");
  const Session session(global, f.model);
  InputSource inputs = session.open(f.input);
  if (f.allow_nonfinite) inputs.allow_nonfinite();
  const std::int64_t batch = std::min(session.network().batch(), inputs.places());
  const double runs = convolution::runs_for_transforms(session.network().graph(session.network().unit()));
  RawOutput raw(session, static_cast<double>(inputs.places()) >= runs);
  std::optional<NpyWriter> output;
  must_not_replace("--output", f.output, files_read(session, {f.input}));
  if (!f.output.empty()) output.emplace(f.output, inputs.places());
  const bool print = !global.json && !global.quiet;
  const Outputs outputs(session, raw.shape());
  nlohmann::json top = nlohmann::json::array();
  std::vector<std::int64_t> targets;
  std::vector<double> scores;
  NotFinite not_finite;
  InputStream stream(inputs);
  for (InputSet set = stream.next(batch); set.size() > 0; set = stream.next(batch)) {
    if (!output && reader_left()) return;  // nobody sees the rest
    session.at(static_cast<std::int64_t>(scores.size()), inputs.places());
    const Tensor values = output ? raw.of(set.inputs) : Tensor();
    if (output) output->append(values);
    const Tensor logits = session.network().predict(set.inputs);
    const auto best = argmax_rows(logits);
    const auto classes = static_cast<std::size_t>(logits.shape()[1]);
    for (std::size_t i = 0; i < best.size(); ++i) {
      const auto row = logits.data<float>().subspan(i * classes, classes);
      targets.push_back(best[i]);
      scores.push_back(outputs.score(row, best[i]));
      const bool finite = !not_finite.add(set, i, values, logits);
      const bool shown = print && (finite || f.allow_nonfinite);
      if (shown) show("{}\n", set.items[i].name);
      if (!shown && !global.json) continue;
      nlohmann::json list = outputs.top(row, shown);
      if (global.json) top.push_back(std::move(list));
    }
  }
  nlohmann::json warnings = nlohmann::json::array();
  if (not_finite.count > 0) {
    warnings.push_back(not_finite.text(session, scores.size()));
    refuse_or_warn(global, f, warnings[0]);
  }
  if (output) output->finish();
  warn_of_files(global, stream.skipped(), stream.odd(), scores.size());
  if (!stream.odd().empty()) warnings.push_back(looked_at_twice(stream.odd()));
  if (print && session.network().probability().from == Probability::From::convention)
    show("({}, which the network itself does not apply)\n", outputs.kind());
  if (!global.json) return;
  Shape shape = raw.shape();
  shape[0] = static_cast<std::int64_t>(scores.size());
  print_json({{"targets", targets},
              {"scores", scores},
              {"scores_are", outputs.kind()},
              {"shape", shape},
              {"top", top},
              {"skipped", to_json(stream.skipped())},
              {"warnings", warnings}});
}

}  // namespace

void add_run(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<RunFlags>();
  auto* command = app.add_subcommand("run", "plain forward pass; top-5 classes");
  add_model_flags(*command, f->model);
  command->add_option("INPUT", f->input, "an image, a folder, or .npy/.npz");
  command->add_option("--input", f->inputs, "NAME=FILE.npy, for any inputs by name");
  command->add_option("--output", f->output, "write the output as .npy");
  command->add_option("--output-dir", f->output_dir, "with --input: folder for one OUTPUT.npy per output");
  add_nonfinite_flag(*command, f->allow_nonfinite);
  command->callback([f, &global] { run(global, *f); });
}

}  // namespace heatproof::cli
