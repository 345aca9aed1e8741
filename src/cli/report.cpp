#include "cli/common.h"
namespace heatproof::cli {
void add_report(CLI::App&, GlobalFlags&) {}
}  // namespace heatproof::cli
