// heatproof explain: heatmaps of one recipe.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "cli/common.h"
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

/// NAME.heatmap.png and NAME.overlay.png for every sample; returns the paths.
std::vector<std::string> draw(const std::filesystem::path& folder, const InputSet& set,
                              const Tensor& heatmaps) {
  std::vector<std::string> files;
  const auto height = static_cast<int>(heatmaps.shape()[1]);
  const auto width = static_cast<int>(heatmaps.shape()[2]);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    const auto map = heatmaps.data<float>().subspan(i * pixels, pixels);
    std::string name = set.items[i].name;
    std::ranges::replace(name, ' ', '_');
    const auto write = [&](const char* kind, const report::Picture& picture) {
      const auto path = folder / fmt::format("{}.{}.png", name, kind);
      write_file(path, report::encode_png(report::enlarge(picture, 224)));
      files.push_back(path.string());
    };
    write("heatmap", report::draw_heatmap(map, height, width));
    const report::Picture photo = picture_of(set, i);
    if (!photo.rgb.empty()) write("overlay", report::draw_overlay(map, photo));
  }
  return files;
}

void explain(const GlobalFlags& global, const ExplainFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  const Session session(global, f.model);
  const InputSet set = session.load(f.input);
  const Tensor logits = session.network().predict(set.inputs);
  const auto targets = session.targets(f.target, logits);
  Explainer explainer(session.network(), {recipe}, session.explain_options(global.seed));
  const Explanation explanation = explainer.explain(set.inputs, targets, sample_ids(set));
  if (!f.raw.empty()) write_file(f.raw, format_npy(explanation.relevance[0]));
  std::vector<std::string> files;
  if (!f.out.empty()) files = draw(f.out, set, pool_channels(explanation.relevance[0], pool_of(recipe)));
  std::vector<double> scores;
  std::vector<double> sums;
  const auto size = static_cast<std::size_t>(session.network().input_shape().elements());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    scores.push_back(logits.data<float>()[i * static_cast<std::size_t>(session.network().classes()) +
                                          static_cast<std::size_t>(targets[i])]);
    double sum = 0;
    for (float r : explanation.relevance[0].data<float>().subspan(i * size, size)) sum += r;
    sums.push_back(sum);
  }
  if (global.json) {
    print_json({{"recipe", recipe.text},
                {"targets", targets},
                {"scores", scores},
                {"relevance_sums", sums},
                {"files", files}});
  } else if (!global.quiet) {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      fmt::print("{}  {}  score {:.4g}  relevance {:.4g}\n", set.items[i].name,
                 session.labels().name(targets[i]), scores[i], sums[i]);
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
