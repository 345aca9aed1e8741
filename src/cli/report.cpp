// heatproof report: draws the page again from stored results. heatproof merge: joins results of several
// machines.
#include <fmt/format.h>

#include <filesystem>

#include "base/files.h"
#include "cli/common.h"
#include "cli/file_names.h"
#include "cli/messages.h"
#include "heatproof/error.h"
#include "report/facts.h"
#include "select/run.h"
#include "store/results.h"

namespace heatproof::cli {

namespace {

/// What the file's report shows; errors name the file.
report::SelectReport read_report(const std::string& file) {
  const Results results = Results::read(file);
  std::map<std::string, std::string> facts;
  for (const std::string& name : results.names()) facts[name] = *results.get(name);
  try {
    return report::from_facts(facts);
  } catch (const InputError& e) {
    std::string_view what = e.what();
    if (what.starts_with("results: ")) what.remove_prefix(9);
    throw InputError(fmt::format("{}: {}", file, what));
  }
}

void draw(const GlobalFlags& global, const std::string& file, const std::filesystem::path& out) {
  const report::SelectReport r = read_report(file);
  write_file(out / "report.html", report::render(r));
  write_file(out / "recipe.toml", r.recipe_toml);
  const std::string page = (out / "report.html").string();
  if (global.json)
    print_json({{"report", page}, {"recipe", (out / "recipe.toml").string()}});
  else if (!global.quiet)
    show("report  {}\n", page);
}

/// Refuses files that lie in one place, so that none is both read and replaced.
void must_differ(const std::vector<std::string>& files, const std::string& out) {
  must_not_replace("--output", out, std::vector<std::filesystem::path>(files.begin(), files.end()));
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::error_code error;
    for (std::size_t k = 0; k < i; ++k)
      if (std::filesystem::equivalent(files[k], files[i], error))
        throw UsageError(fmt::format("{} is given twice; give every part once", files[i]));
  }
}

/// Takes a part in. Throws Error where it is of another run than the parts before.
void add_part(Results& all, const std::string& file, std::string& first, std::string& run) {
  const Results part = Results::read(file);
  const std::string own = part.get(kRunFact).value_or("");
  if (first.empty())
    first = file, run = own;
  else if (const std::string differs = difference(run, own); !differs.empty())
    throw Error(fmt::format(
        "{} and {} are of different runs: {}; merge joins parts of one selection (select --shard)", first,
        file, differs));
  all.merge(part);
}

void merge(const GlobalFlags& global, std::vector<std::string> files, const std::string& out) {
  must_differ(files, out);
  std::error_code error;
  if (std::filesystem::exists(out, error) && !std::filesystem::is_regular_file(out, error))
    throw UsageError(fmt::format("--output {}: is no file, and results cannot be written there", out));
  if (std::filesystem::is_regular_file(out, error)) files.insert(files.begin(), out);  // more is added to it
  when_stopped("stopped; nothing was written, run the same command again");
  Results all = Results::replacing(out);
  std::string first;
  std::string run;
  for (const std::string& file : files) add_part(all, file, first, run);
  if (!run.empty()) all.set(kRunFact, run);
  const std::int64_t cells = all.cells();
  all.finish();
  if (global.json)
    print_json({{"results", out}, {"cells", cells}});
  else if (!global.quiet)
    show("{} cells in {}\n", cells, out);
}

}  // namespace

void add_report(CLI::App& app, GlobalFlags& global) {
  struct Flags {
    std::string results, out = ".";
  };
  auto f = std::make_shared<Flags>();
  auto* command = app.add_subcommand("report", "draw the report again from stored results");
  command->add_option("RESULTS", f->results, "a results.sqlite that select wrote")->required();
  command->add_option("--out", f->out, "folder for report.html and recipe.toml");
  command->callback([f, &global] { draw(global, f->results, f->out); });
}

void add_merge(CLI::App& app, GlobalFlags& global) {
  struct Flags {
    std::vector<std::string> files;
    std::string output;
  };
  auto f = std::make_shared<Flags>();
  auto* command = app.add_subcommand("merge", "join results that were measured in parts (select --shard)");
  command->add_option("RESULTS", f->files, "results.sqlite of every part")->required();
  command->add_option("--output", f->output, "file for all of them")->required();
  command->callback([f, &global] { merge(global, f->files, f->output); });
}

}  // namespace heatproof::cli
