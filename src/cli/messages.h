// What the program says: messages on stderr, results on stdout. Neither can stop it: a terminal that is gone
// or a full disk behind stderr loses the message alone, and stdout is judged once, at the end.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace heatproof::cli {

/// One line on stderr, after "heatproof: ": printable, below 500 characters.
void say(std::string_view line) noexcept;

/// The same of what is no error. It waits until something is shown, progress or a result, or `release_notes`;
/// what fails before says what is wrong, and nothing else.
void note(std::string line);
void release_notes() noexcept;
void drop_notes();

/// To stdout, as it is.
void show_text(std::string_view text);

/// What is shown of an argument: texts, which may be names from files, are made printable.
template <typename T>
constexpr bool kIsText = std::is_convertible_v<T, std::string_view>;
std::string shown_text(std::string_view text);
template <typename T>
decltype(auto) shown(T&& value) {
  if constexpr (kIsText<T>)
    return shown_text(value);
  else
    return std::forward<T>(value);
}
template <typename T>
using Shown = std::conditional_t<kIsText<T>, std::string, std::remove_cvref_t<T>>;

/// Progress on the terminal behind stderr, as it is.
void show_progress(std::string_view text) noexcept;

/// Formatted, to stdout. Line breaks are those of `format` alone.
template <typename... Args>
void show(fmt::format_string<Shown<Args>...> format, Args&&... args) {
  show_text(fmt::vformat(format, fmt::make_format_args(shown(std::forward<Args>(args))...)));
}

/// Whether who read stdout has closed it, such as `head` does: nobody wants more.
bool reader_left();

/// Writes what is still held of stdout. Throws Error where it could not be written; not where its reader
/// left.
void finish_output();

/// Descriptors 0 to 2 are opened where the caller closed them: else the next file that is opened would
/// receive what is printed.
void open_standard_streams();

/// SIGINT, SIGTERM and SIGHUP end the program with one line that says how to go on, and exit code 1; files
/// that are too long for `ulimit -f`, and pipes without a reader, become errors of writing.
void handle_signals();
/// Until then they wait: what is started anew in the same process is not ended in between.
void hold_signals();
/// What that line says from now on.
void when_stopped(const std::string& line);

}  // namespace heatproof::cli
