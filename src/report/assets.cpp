#include "report/assets.h"

extern "C" {
extern const char heatproof_asset_css[], heatproof_asset_css_end[];
extern const char heatproof_asset_js[], heatproof_asset_js_end[];
extern const char heatproof_asset_chart_js[], heatproof_asset_chart_js_end[];
}

namespace heatproof::report {

std::string_view asset_css() { return {heatproof_asset_css, heatproof_asset_css_end}; }
std::string_view asset_js() { return {heatproof_asset_js, heatproof_asset_js_end}; }
std::string_view asset_chart_js() { return {heatproof_asset_chart_js, heatproof_asset_chart_js_end}; }

}  // namespace heatproof::report
