// Files that are part of the program (see embed.cmake).
#pragma once

#include <string_view>

namespace heatproof::report {

std::string_view asset_css();
std::string_view asset_js();
std::string_view asset_chart_js();

}  // namespace heatproof::report
