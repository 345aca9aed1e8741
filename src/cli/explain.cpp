// heatproof explain: heatmaps of one recipe.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/threads.h"
#include "cli/inputs.h"
#include "cli/selection_report.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "report/heatmap.h"
#include "select/space.h"
#include "validate/metric.h"

namespace heatproof::cli {

namespace {

struct ExplainFlags {
  ModelFlags model;
  std::string input, recipe, target = "auto", raw, out;
};

/// NAME.heatmap.png and NAME.overlay.png for every sample; adds the paths.
void draw(const std::filesystem::path& folder, const InputSet& set, const Tensor& heatmaps,
          std::vector<std::string>& files) {
  const auto height = static_cast<int>(heatmaps.shape()[1]);
  const auto width = static_cast<int>(heatmaps.shape()[2]);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  std::vector<std::vector<std::string>> written(set.items.size());
  try_parallel_for(set.size(), [&](std::int64_t sample) {
    const auto i = static_cast<std::size_t>(sample);
    const auto map = heatmaps.data<float>().subspan(i * pixels, pixels);
    std::string name = set.items[i].name;
    std::ranges::replace(name, ' ', '_');
    const auto write = [&](const char* kind, const report::Picture& picture) {
      const auto path = folder / fmt::format("{}.{}.png", name, kind);
      write_file(path, report::encode_png(report::enlarge(picture, 224)));
      written[i].push_back(path.string());
    };
    write("heatmap", report::draw_heatmap(map, height, width));
    const report::Picture photo = picture_of(set, i);
    if (!photo.rgb.empty()) write("overlay", report::draw_overlay(map, photo));
  });
  for (const auto& paths : written) files.insert(files.end(), paths.begin(), paths.end());
}

/// What is told of every sample.
struct Told {
  std::vector<std::string> names, files;
  std::vector<std::int64_t> targets;
  std::vector<double> scores, sums;

  void add(const InputSet& set, const Tensor& logits, const std::vector<std::int64_t>& chosen,
           const Tensor& relevance) {
    const auto classes = static_cast<std::size_t>(logits.shape()[1]);
    const auto size = static_cast<std::size_t>(relevance.elements()) / chosen.size();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      names.push_back(set.items[i].name);
      targets.push_back(chosen[i]);
      scores.push_back(logits.data<float>()[i * classes + static_cast<std::size_t>(chosen[i])]);
      double sum = 0;
      for (float r : relevance.data<float>().subspan(i * size, size)) sum += r;
      sums.push_back(sum);
    }
  }
};

void explain(const GlobalFlags& global, const ExplainFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  const Session session(global, f.model);
  const InputSource inputs = session.open(f.input);
  const Targets targets(f.target, session, inputs);
  Explainer explainer(session.network(), {recipe}, session.explain_options(global.seed));
  std::optional<NpyWriter> raw;
  if (!f.raw.empty()) raw.emplace(f.raw, inputs.places());
  Told told;
  InputStream stream(inputs);
  const std::int64_t together = explained_together(session, explainer, inputs);
  for (InputSet set = stream.next(together); set.size() > 0; set = stream.next(together)) {
    session.at(static_cast<std::int64_t>(told.names.size()), inputs.places());
    const Tensor logits = session.network().predict(set.inputs);
    const auto chosen = targets.of(set, logits);
    const Tensor relevance = explainer.explain(set.inputs, chosen, sample_ids(set.items)).relevance[0];
    if (raw) raw->append(relevance);
    if (!f.out.empty()) draw(f.out, set, pool_channels(relevance, pool_of(recipe)), told.files);
    told.add(set, logits, chosen, relevance);
  }
  if (raw) raw->finish();
  if (global.json) {
    print_json({{"recipe", recipe.text},
                {"targets", told.targets},
                {"scores", told.scores},
                {"relevance_sums", told.sums},
                {"files", told.files}});
  } else if (!global.quiet) {
    for (std::size_t i = 0; i < told.names.size(); ++i) {
      fmt::print("{}  {}  score {:.4g}  relevance {:.4g}\n", told.names[i],
                 session.labels().name(told.targets[i]), told.scores[i], told.sums[i]);
    }
  }
}

}  // namespace

void add_explain(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<ExplainFlags>();
  auto* command = app.add_subcommand("explain", "heatmaps of one recipe");
  add_model_flags(*command, f->model);
  command->add_option("INPUT", f->input, "an image, a folder, or .npy/.npz")->required();
  command->add_option("--recipe", f->recipe, "name:key=value,..., or a recipe.toml that select wrote")
      ->required();
  command->add_option("--target", f->target,
                      "auto (the predicted class), an index, a label, or a .npy of indices");
  command->add_option("--raw", f->raw, "write signed relevance in the input's shape as .npy");
  command->add_option("--out", f->out, "folder for heatmaps and overlays as PNG");
  command->callback([f, &global] { explain(global, *f); });
}

}  // namespace heatproof::cli
