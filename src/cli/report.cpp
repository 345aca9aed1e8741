// heatproof report: draws the page again from stored results. heatproof merge: joins results of several
// machines.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "cli/common.h"
#include "heatproof/error.h"
#include "report/facts.h"
#include "store/results.h"

namespace heatproof::cli {

namespace {

void must_exist(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    throw InputError(
        fmt::format("{}: no such file; give a results.sqlite that heatproof select wrote", path));
  // Opening would make a database of an empty file.
  std::string start(15, '\0');
  std::ifstream(path, std::ios::binary).read(start.data(), 15);
  if (start != "SQLite format 3")
    throw InputError(
        fmt::format("{}: not a results file; give a results.sqlite that heatproof select wrote", path));
}

/// What the file's report shows; errors name the file.
report::SelectReport read_report(const std::string& file) {
  const Results results(file);
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
  must_exist(file);
  const report::SelectReport r = read_report(file);
  write_file(out / "report.html", report::render(r));
  write_file(out / "recipe.toml", r.recipe_toml);
  const std::string page = (out / "report.html").string();
  if (global.json)
    print_json({{"report", page}, {"recipe", (out / "recipe.toml").string()}});
  else if (!global.quiet)
    fmt::print("report  {}\n", page);
}

void merge(const GlobalFlags& global, const std::vector<std::string>& files, const std::string& out) {
  for (const std::string& file : files) must_exist(file);
  Results all(out);
  for (const std::string& file : files) all.merge(Results(file));
  const std::int64_t cells = all.cells();
  all.finish();
  if (global.json)
    print_json({{"results", out}, {"cells", cells}});
  else if (!global.quiet)
    fmt::print("{} cells in {}\n", cells, out);
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
