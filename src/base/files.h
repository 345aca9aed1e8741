// Files that are whole or absent, and their fingerprints.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace heatproof {

/// The whole file. Throws InputError when it cannot be read.
std::string read_file(const std::filesystem::path& path);

/// Writes the whole file or nothing: to a temporary name beside it, flushed to disk, then renamed.
/// Throws Error (disk full, no permission); the old file, if any, is then still there.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace heatproof
