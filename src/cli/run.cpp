// heatproof run: a plain forward pass.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cli/common.h"
#include "data/npy.h"
#include "engine/program.h"
#include "graph/operator.h"
#include "graph/rewrite.h"
#include "heatproof/error.h"
#include "ops/convolution.h"

namespace heatproof::cli {

namespace {

struct RunFlags {
  ModelFlags model;
  std::string input, output, output_dir;
  std::vector<std::string> inputs;
};

/// Any inputs by name, all outputs.
void run_named(const GlobalFlags& global, const RunFlags& f) {
  const Model model = Model::load(f.model.model);
  std::map<std::string, Tensor> given;
  for (const std::string& item : f.inputs) {
    const auto equals = item.find('=');
    if (equals == std::string::npos) throw UsageError(fmt::format("--input {}: write NAME=FILE.npy", item));
    given[item.substr(0, equals)] = read_npy(item.substr(equals + 1));
  }
  Specialization wanted;
  for (const ModelInput& input : model.inputs()) {
    const auto it = given.find(input.name);
    if (it == given.end())
      throw UsageError(
          fmt::format("input '{}' was not given; add --input {}=FILE.npy", input.name, input.name));
    wanted.shapes[input.name] = it->second.shape();
    if (&input == &model.inputs().front() && !it->second.shape().empty())
      wanted.batch = it->second.shape()[0];
  }
  const Graph graph = canonicalize(model.specialize(wanted));
  std::vector<Tensor> tensors;
  for (NodeId id : graph.inputs()) tensors.push_back(given.at(graph.node(id).name));
  const std::vector<Tensor> results = Workspace(compile(graph)).run(tensors);
  nlohmann::json files = nlohmann::json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::string name = graph.outputs()[i].name;
    std::ranges::replace(name, '/', '_');
    const auto path = std::filesystem::path(f.output_dir.empty() ? "." : f.output_dir) / (name + ".npy");
    write_file(path, format_npy(results[i]));
    files.push_back(path.string());
  }
  if (global.json) print_json({{"outputs", files}});
}

Tensor raw_output(const Session& session, const Tensor& inputs) {
  const Network& network = session.network();
  const std::int64_t n = inputs.shape()[0];
  const std::int64_t size = std::min(network.batch(), n);
  const bool many = static_cast<double>(n) >= convolution::runs_for_transforms(network.graph(1));
  const auto how = many ? Convolutions::fastest : Convolutions::direct;
  std::vector<Tensor> parts;
  std::map<std::int64_t, Workspace> workspaces;
  for (std::int64_t begin = 0; begin < n; begin += size) {
    const std::int64_t count = std::min(size, n - begin);
    if (!workspaces.contains(count)) {
      Builder g;
      Shape shape = inputs.shape();
      shape[0] = count;
      g.output("output", forward_view(g, network.graph(count), g.input("x", {DType::f32, shape}),
                                      network.options().output_name)
                             .output);
      workspaces.emplace(count, Workspace(compile(g.build(), how)));
    }
    parts.push_back(workspaces.at(count).run({inputs.rows(begin, begin + count)})[0]);
  }
  return concatenate(parts);
}

void run(const GlobalFlags& global, const RunFlags& f) {
  if (!f.inputs.empty()) return run_named(global, f);
  if (f.input.empty()) throw UsageError("run needs INPUT, or --input NAME=FILE.npy for every input");
  const Session session(global, f.model);
  const InputSet set = session.load(f.input);
  const Tensor output = raw_output(session, set.inputs);
  if (!f.output.empty()) write_file(f.output, format_npy(output));
  const Tensor probabilities = session.network().predict(set.inputs, ScoreKind::probability);
  const auto best = argmax_rows(probabilities);
  const auto classes = static_cast<std::size_t>(probabilities.shape()[1]);
  nlohmann::json top = nlohmann::json::array();
  std::vector<double> scores;
  for (std::size_t i = 0; i < best.size(); ++i) {
    const auto row = probabilities.data<float>().subspan(i * classes, classes);
    scores.push_back(row[static_cast<std::size_t>(best[i])]);
    std::vector<std::int64_t> order(classes);
    for (std::size_t k = 0; k < classes; ++k) order[k] = static_cast<std::int64_t>(k);
    const auto five = static_cast<std::ptrdiff_t>(std::min<std::size_t>(5, classes));
    std::partial_sort(order.begin(), order.begin() + five, order.end(), [&](auto a, auto b) {
      return row[static_cast<std::size_t>(a)] > row[static_cast<std::size_t>(b)];
    });
    nlohmann::json list = nlohmann::json::array();
    if (!global.json && !global.quiet) fmt::print("{}\n", set.items[i].name);
    for (std::ptrdiff_t k = 0; k < five; ++k) {
      const std::int64_t c = order[static_cast<std::size_t>(k)];
      list.push_back({{"class", c},
                      {"label", session.labels().name(c)},
                      {"probability", row[static_cast<std::size_t>(c)]}});
      if (!global.json && !global.quiet)
        fmt::print("  {:6.2f} %  {}\n", 100 * row[static_cast<std::size_t>(c)], session.labels().name(c));
    }
    top.push_back(list);
  }
  if (global.json)
    print_json({{"targets", best}, {"scores", scores}, {"shape", output.shape()}, {"top", top}});
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
  command->callback([f, &global] { run(global, *f); });
}

}  // namespace heatproof::cli
