#include "cli/common.h"
namespace heatproof::cli {
void add_select(CLI::App&, GlobalFlags&) {}
}  // namespace heatproof::cli
