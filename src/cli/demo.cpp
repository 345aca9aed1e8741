// heatproof demo: measures one claim about explanations.
#include <fmt/format.h>

#include "base/files.h"
#include "cli/common.h"
#include "cli/messages.h"
#include "demo/demo.h"

namespace heatproof::cli {

namespace {

struct DemoFlags {
  std::string name, out = "heatproof-out";
};

void demo_command(const GlobalFlags& global, const DemoFlags& f) {
  const demo::Demo& demo = demo::find_demo(f.name);
  const demo::Result result = demo.run({HEATPROOF_ASSETS, global.seed});
  const auto page = std::filesystem::path(f.out) / ("demo-" + demo.name + ".html");
  write_file(page, result.page.render());
  if (global.json)
    print_json({{"demo", demo.name},
                {"claim", demo.claim},
                {"outcome", result.outcome},
                {"holds", result.holds},
                {"numbers", result.numbers},
                {"page", page.string()}});
  else if (!global.quiet)
    show("{}\n{}\n\npage {}\n", result.holds ? "The claim holds." : "The claim does not hold here.",
         result.outcome, page.string());
}

}  // namespace

void add_demo(CLI::App& app, GlobalFlags& global) {
  auto f = std::make_shared<DemoFlags>();
  std::string names;
  for (const demo::Demo* demo : demo::demos()) names += (names.empty() ? "" : ", ") + demo->name;
  auto* command = app.add_subcommand("demo", "measures a claim about explanations: " + names);
  command->add_option("NAME", f->name, names)->required();
  command->add_option("--out", f->out, "folder for the page");
  command->callback([f, &global] { demo_command(global, *f); });
}

}  // namespace heatproof::cli
