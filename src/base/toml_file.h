// TOML files, which are small and flat.
#pragma once

#include <toml++/toml.h>

#include <filesystem>

namespace heatproof {

/// Throws InputError, with file and line, where it cannot be read or is no TOML, has more than a megabyte, or
/// keys of more parts than anything here: tables are nested as deep as keys have parts, and freed
/// recursively.
toml::table read_toml(const std::filesystem::path& path);

}  // namespace heatproof
