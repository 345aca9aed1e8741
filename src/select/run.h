// What the parts of one selection have in common. It is kept beside the cells, so that merge can tell parts
// of one from those of another.
#pragma once

#include <map>
#include <string>

namespace heatproof {

/// The name of the fact.
inline const std::string kRunFact = "run";

/// Settings by name. Not among them: what share of the images was measured, and the recipes, which cells
/// name.
using Run = std::map<std::string, std::string>;

std::string to_text(const Run& run);
/// How two texts differ, in words; empty where they do not.
std::string difference(const std::string& a, const std::string& b);

}  // namespace heatproof
