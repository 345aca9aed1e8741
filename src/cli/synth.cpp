// heatproof synth: data sets with known evidence.
#include <fmt/format.h>

#include "cli/common.h"
#include "cli/messages.h"
#include "data/synthetic.h"

namespace heatproof::cli {

namespace {

struct SynthFlags {
  std::string name, out = "heatproof-synth";
  std::int64_t count = 64;
  SyntheticOptions options;
};

void synth_command(const GlobalFlags& global, const SynthFlags& f) {
  const SyntheticSet& set = find_synthetic(f.name);
  write_synthetic(set, f.count, f.options, global.seed, f.out);
  const std::filesystem::path out = f.out;
  if (global.json)
    print_json({{"set", set.name},
                {"about", set.about},
                {"count", f.count},
                {"seed", global.seed},
                {"out", f.out},
                {"classes", set.classes}});
  else if (!global.quiet)
    show("{} images of '{}': {}\nimages  {}\nmasks   {}\n", f.count, set.name, set.about,
         (out / "images").string(), (out / "masks").string());
}

}  // namespace

void add_synth(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<SynthFlags>();
  std::string names;
  for (const SyntheticSet& set : synthetic_sets()) names += (names.empty() ? "" : ", ") + set.name;
  auto* command = app.add_subcommand("synth", "draws images whose evidence is known: " + names);
  command->add_option("NAME", f->name, names)->required();
  command->add_option("--out", f->out, "folder for the images, masks, labels and targets");
  command->add_option("--count", f->count, "images")->check(CLI::Range(1, 1000000));
  command->add_option("--size", f->options.size, "side of the images in pixels")->check(CLI::Range(16, 1024));
  command
      ->add_option("--marked", f->options.marked,
                   "watermark: share of the first class's images with the mark")
      ->check(CLI::Range(0.0, 1.0));
  command
      ->add_option("--marked-others", f->options.marked_others,
                   "watermark: share of the other images with the mark")
      ->check(CLI::Range(0.0, 1.0));
  command->callback([f, &global] { synth_command(global, *f); });
}

}  // namespace heatproof::cli
