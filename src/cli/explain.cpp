// heatproof explain: heatmaps of one recipe.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/files.h"
#include "base/threads.h"
#include "cli/file_names.h"
#include "cli/health.h"
#include "cli/inputs.h"
#include "cli/messages.h"
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

constexpr std::string_view kHeatmap = ".heatmap.png";
constexpr std::string_view kOverlay = ".overlay.png";

/// Where the pictures of each input go, without their ends.
std::vector<std::filesystem::path> pictures_of(const std::filesystem::path& folder,
                                               const InputSource& inputs) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < inputs.places(); ++i) names.push_back(inputs.name(i));
  std::vector<std::filesystem::path> files;
  for (const std::string& name : file_names(names, " ", kHeatmap.size())) files.push_back(folder / name);
  // Pictures of an earlier run, where they are inputs of this one.
  std::error_code error;
  const std::filesystem::path source = inputs.path();
  if (!inputs.photos() ||
      !std::filesystem::equivalent(
          folder, std::filesystem::is_directory(source, error) ? source : source.parent_path(), error))
    return files;
  const std::set<std::string> read(names.begin(), names.end());
  for (const std::filesystem::path& file : files)
    for (const std::string_view end : {kHeatmap, kOverlay})
      if (read.contains(file.filename().string() + std::string(end)))
        throw UsageError(
            fmt::format("--out {}: {}{} is one of the inputs, and would be replaced; choose another folder",
                        folder.string(), file.filename().string(), end));
  return files;
}

/// NAME.heatmap.png and NAME.overlay.png for every sample; adds the paths.
void draw(const std::vector<std::filesystem::path>& places, const Session& session, const InputSet& set,
          const Tensor& heatmaps, std::vector<std::string>& files) {
  const auto height = static_cast<int>(heatmaps.shape()[1]);
  const auto width = static_cast<int>(heatmaps.shape()[2]);
  const auto pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  std::vector<std::vector<std::string>> written(set.items.size());
  try_parallel_for(set.size(), [&](std::int64_t sample) {
    const auto i = static_cast<std::size_t>(sample);
    const auto map = heatmaps.data<float>().subspan(i * pixels, pixels);
    const std::string place = places[static_cast<std::size_t>(set.items[i].place)].string();
    const auto write = [&](std::string_view end, const report::Picture& picture) {
      const std::filesystem::path path = place + std::string(end);
      write_file(path, report::encode_png(report::enlarge(picture, 224)));
      written[i].push_back(path.string());
    };
    write(kHeatmap, report::draw_heatmap(map, height, width));
    const report::Picture photo = picture_of(session, set, i);
    if (!photo.rgb.empty()) write(kOverlay, report::draw_overlay(map, photo));
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
                     const Explained& told, const Verdict& verdict, const std::vector<std::string>& files,
                     const InputStream& stream) {
  if (global.json) {
    print_json({{"recipe", recipe.text},
                {"targets", told.targets},
                {"scores", told.scores},
                {"relevance_sums", told.sums},
                {"files", files},
                {"explodes", verdict.explodes},
                {"skipped", to_json(stream.skipped())},
                {"warnings", with_odd(verdict.warnings(), stream.odd())}});
  } else if (!global.quiet) {
    for (std::size_t i = 0; i < told.items.size(); ++i) {
      show("{}  {}  score {:.4g}  relevance {:.4g}\n", told.items[i].name,
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
  std::vector<std::filesystem::path> places;
  if (!f.out.empty()) places = pictures_of(f.out, inputs);
  std::optional<NpyWriter> raw;
  must_not_replace("--raw", f.raw, files_read(session, {f.input, f.target, f.recipe}));
  if (!f.raw.empty()) raw.emplace(f.raw, inputs.places());
  if (!f.out.empty())
    when_stopped(
        fmt::format("stopped; pictures in {} are whole; run the same command again to draw all", f.out));
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
    if (!f.out.empty()) draw(places, session, set, pool_channels(relevance, pool_of(recipe)), files);
    told.add(set, logits, chosen, relevance);
  }
  const Verdict verdict = judge(session, inputs, recipe, told, global.seed);
  if (!verdict.not_finite.empty() && !f.allow_nonfinite) {
    remove_all(files);
    throw Error(verdict.not_finite + "; nothing was written, unless --allow-nonfinite is given");
  }
  for (const std::string& line : verdict.warnings()) warn(global, line);
  if (raw) raw->finish();
  warn_of_files(global, stream.skipped(), stream.odd(), told.items.size());
  print_explained(global, session, recipe, told, verdict, files, stream);
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
