// The program `heatproof`: parses the command line, and turns every error into one line and an exit code.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unistd.h>

#include <cstdlib>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "cli/common.h"
#include "cli/messages.h"
#include "heatproof/error.h"

namespace heatproof::cli {

namespace {

int report(std::string_view what, int code) {
  drop_notes();
  say(what);
  return code;
}

/// OpenMP's threads burn their core for milliseconds while they wait for each other. On a machine that does
/// other work too, that makes a run up to ten times slower; some microseconds are enough for an idle machine.
/// libgomp reads the count from the environment before main, so that the program has to start once more.
void wait_briefly(int argc, char** argv) {
  constexpr const char* kSpins = "5000";  // tens of microseconds: ResNets lose 1 % on an idle machine
  if (argc < 2 || std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr)
    return;
  for (const std::string_view quick : {"list", "inspect", "report", "merge", "--help", "-h", "--version"}) {
    if (argv[1] == quick) return;
  }
  hold_signals();
  if (setenv("GOMP_SPINCOUNT", kSpins, 0) == 0)
    execv("/proc/self/exe", argv);  // returns only where that fails
}

/// What CLI11 shows of --help and --version.
int help(const CLI::App& app, const CLI::Error& asked) {
  std::ostringstream text;
  const int code = app.exit(asked, text, text);
  show_text(text.str());
  return code;
}

/// Parses the arguments, which runs the command.
int run(CLI::App& app, int argc, char** argv) {
  try {
    check_arguments(argc, argv);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::CallForHelp& e) {
    return help(app, e);
  } catch (const CLI::CallForVersion& e) {
    return help(app, e);
  } catch (const CLI::RequiredError& e) {
    if (!app.get_subcommands().empty()) return report(fmt::format("{}; see heatproof --help", e.what()), 2);
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
    return report(fmt::format("give a command: {}; see heatproof --help", fmt::join(names, ", ")), 2);
  } catch (const CLI::ParseError& e) {
    return report(fmt::format("{}; see heatproof --help", e.what()), 2);
  } catch (const Error& e) {
    return report(e.what(), e.exit_code());
  } catch (const std::bad_alloc&) {
    return report("out of memory; use a smaller --batch or --memory", 1);
  } catch (const std::exception& e) {
    return report(e.what(), 1);
  }
}

/// What was computed has to arrive.
int finish(int code) {
  try {
    finish_output();
    return code;
  } catch (const Error& e) {
    return code == 0 ? report(e.what(), 1) : code;
  }
}

}  // namespace

}  // namespace heatproof::cli

int main(int argc, char** argv) {
  using namespace heatproof;
  cli::open_standard_streams();
  cli::wait_briefly(argc, argv);
  cli::handle_signals();
  CLI::App app{
      "heatproof: can this explanation of a neural network be trusted, and which one should be used?",
      "heatproof"};
  app.set_version_flag("--version", "heatproof " HEATPROOF_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  cli::GlobalFlags global;
  cli::add_global_flags(app, global);
  app.parse_complete_callback([&] { set_threads(global.threads); });
  cli::add_run(app, global);
  cli::add_inspect(app, global);
  cli::add_explain(app, global);
  cli::add_evaluate(app, global);
  cli::add_check(app, global);
  cli::add_select(app, global);
  cli::add_report(app, global);
  cli::add_bench(app, global);
  cli::add_merge(app, global);
  cli::add_list(app, global);
  cli::add_demo(app, global);
  cli::add_synth(app, global);
  global.command = cli::command_line(argc, argv);
  return cli::finish(cli::run(app, argc, argv));
}
