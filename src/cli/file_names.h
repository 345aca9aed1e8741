// Names of files that are made from other names: of inputs, of outputs of a network.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heatproof::cli {

/// One name for each of `names`, no two alike, even where upper and lower case are the same: characters of
/// `replaced`, "/", controls and bytes that are no UTF-8 become "_". What stays unique that way is kept;
/// others, and what is too long to be followed by `room` bytes, end with "~" and the start of the SHA-256 of
/// their name. The same names always give the same files, in whatever order they come.
std::vector<std::string> file_names(std::span<const std::string> names, std::string_view replaced,
                                    std::size_t room);

/// Throws UsageError where writing `path`, for `flag`, would replace one of the files that are only read.
void must_not_replace(const std::string& flag, const std::filesystem::path& path,
                      std::span<const std::filesystem::path> inputs);

}  // namespace heatproof::cli
