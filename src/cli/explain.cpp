// heatproof explain: heatmaps of one recipe.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/threads.h"
#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/outputs.h"
#include "cli/rule_notes.h"
#include "cli/score_notes.h"
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
  bool allow_nonfinite = false;
};

/// NAME.heatmap.png and NAME.overlay.png for every sample; adds the paths.
void draw(const std::filesystem::path& folder, const Session& session, const InputSet& set,
          const Tensor& heatmaps, std::vector<std::string>& files) {
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
    const report::Picture photo = picture_of(session, set, i);
    if (!photo.rgb.empty()) write("overlay", report::draw_overlay(map, photo));
  });
  for (const auto& paths : written) files.insert(files.end(), paths.begin(), paths.end());
}

/// No picture is left of a command that fails.
void remove_all(const std::vector<std::string>& files) {
  std::error_code error;
  for (const std::string& file : files) std::filesystem::remove(file, error);
  if (!files.empty()) std::filesystem::remove(std::filesystem::path(files[0]).parent_path(), error);
}

void print_explained(const GlobalFlags& global, const Session& session, const Recipe& recipe,
                     const Explained& told, const Verdict& verdict, const std::vector<std::string>& files) {
  if (global.json) {
    print_json({{"recipe", recipe.text},
                {"targets", told.targets},
                {"scores", told.scores},
                {"relevance_sums", told.sums},
                {"files", files},
                {"explodes", verdict.explodes},
                {"warnings", verdict.warnings()}});
  } else if (!global.quiet) {
    for (std::size_t i = 0; i < told.items.size(); ++i) {
      fmt::print("{}  {}  score {:.4g}  relevance {:.4g}\n", told.items[i].name,
                 target_name(session, told.targets[i]), told.scores[i], told.sums[i]);
    }
  }
}

void explain(const GlobalFlags& global, const ExplainFlags& f) {
  const Recipe recipe = read_recipe(f.recipe);
  const Session session(global, f.model);
  note_scores(global, session.network(), std::span(&recipe, 1), {});
  InputSource inputs = session.open(f.input);
  if (f.allow_nonfinite) inputs.allow_nonfinite();
  const Targets targets(f.target, session, inputs);
  ExplainOptions options = session.explain_options(global.seed);
  options.expected = inputs.places();
  Explainer explainer(session.network(), {recipe}, options);
  std::optional<NpyWriter> raw;
  if (!f.raw.empty()) raw.emplace(f.raw, inputs.places());
  warn_of_derivatives(global, session.network(), std::span(&recipe, 1));
  Explained told;
  std::vector<std::string> files;
  InputStream stream(inputs);
  const std::int64_t together = explained_together(session, explainer, inputs);
  for (InputSet set = stream.next(together); set.size() > 0; set = stream.next(together)) {
    session.at(static_cast<std::int64_t>(told.items.size()), inputs.places());
    const Tensor logits = session.network().predict(set.inputs);
    const auto chosen = targets.of(set, logits);
    const Tensor relevance = explainer.explain(set.inputs, chosen, sample_ids(set.items)).relevance[0];
    if (raw) raw->append(relevance);
    if (!f.out.empty()) draw(f.out, session, set, pool_channels(relevance, pool_of(recipe)), files);
    told.add(set, logits, chosen, relevance);
  }
  const Verdict verdict = judge(session, inputs, recipe, told, global.seed);
  if (!verdict.not_finite.empty() && !f.allow_nonfinite) {
    remove_all(files);
    throw Error(verdict.not_finite + "; nothing was written, unless --allow-nonfinite is given");
  }
  for (const std::string& line : verdict.warnings()) warn(global, line);
  if (raw) raw->finish();
  print_explained(global, session, recipe, told, verdict, files);
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
  add_nonfinite_flag(*command, f->allow_nonfinite);
  command->callback([f, &global] { explain(global, *f); });
}

}  // namespace heatproof::cli
