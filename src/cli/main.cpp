// The program `heatproof`: parses the command line, and turns every error into one line and an exit code.
#include <fmt/format.h>

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <new>
#include <string_view>

#include "base/threads.h"
#include "cli/common.h"
#include "heatproof/error.h"

namespace {

int report(const std::string& what, int code) {
  std::string line = what;
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  fmt::print(stderr, "heatproof: {}\n", line);
  return code;
}

/// OpenMP's threads burn their core for milliseconds while they wait for each other. On a machine that does
/// other work too, that makes a run up to ten times slower; some microseconds are enough for an idle machine.
/// libgomp reads the count from the environment before main, so that the program has to start once more.
void wait_briefly(int argc, char** argv) {
  constexpr const char* kSpins = "5000";  // tens of microseconds: ResNets lose 1 % on an idle machine
  if (argc < 2 || std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr)
    return;
  for (const std::string_view quick : {"list", "inspect", "report", "--help", "-h", "--version"}) {
    if (argv[1] == quick) return;
  }
  if (setenv("GOMP_SPINCOUNT", kSpins, 0) == 0)
    execv("/proc/self/exe", argv);  // returns only where that fails
}

}  // namespace

int main(int argc, char** argv) {
  using namespace heatproof;
  wait_briefly(argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
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
  try {
    cli::check_arguments(argc, argv);
    app.parse(argc, argv);
    std::cout.flush();
    if (!std::cout) return report("cannot write to standard output; is the disk full?", 1);
    return 0;
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
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
