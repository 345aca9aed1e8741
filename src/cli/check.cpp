#include "cli/common.h"
namespace heatproof::cli {
void add_check(CLI::App&, GlobalFlags&) {}
}  // namespace heatproof::cli
