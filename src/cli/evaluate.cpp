#include "cli/common.h"
namespace heatproof::cli {
void add_evaluate(CLI::App&, GlobalFlags&) {}
}  // namespace heatproof::cli
