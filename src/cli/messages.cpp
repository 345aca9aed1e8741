#include "cli/messages.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/text.h"
#include "heatproof/error.h"

namespace heatproof::cli {

namespace {

constexpr std::size_t kMostBytes = 498;              // of a line
constexpr std::string_view kClearLine = "\r\033[K";  // of a progress bar

int output_error = 0;  // errno of the first failure on stdout

std::vector<std::string>& notes() {
  static std::vector<std::string> waiting;
  return waiting;
}

/// Safe in a handler of signals.
void write_error(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::string line_of(std::string_view text) {
  std::string line(text);
  for (char& c : line)
    if (c == '\n') c = ' ';
  return abbreviated("heatproof: " + printable(line), kMostBytes) + "\n";
}

// Lines are kept: a signal may come while one is being replaced.
std::vector<std::unique_ptr<const std::string>>& stop_lines() {
  static auto& lines = *new std::vector<std::unique_ptr<const std::string>>;  // signals come until the end
  return lines;
}
std::atomic<const std::string*> stop_line = nullptr;
static_assert(std::atomic<const std::string*>::is_always_lock_free);

constexpr int kStopping[] = {SIGINT, SIGTERM, SIGHUP};

void mask_signals(int how) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : kStopping) ::sigaddset(&signals, signal);
  ::sigprocmask(how, &signals, nullptr);
}

extern "C" void stop(int) {
  write_error(*stop_line.load());
  ::_exit(1);
}

}  // namespace

void say(std::string_view line) noexcept {
  try {
    write_error(line_of(line));
  } catch (...) {  // no memory left
    write_error("heatproof: ");
    write_error(line.substr(0, line.find_first_of("\n\033")));
    write_error("\n");
  }
}

void note(std::string line) { notes().push_back(std::move(line)); }

void release_notes() noexcept {
  for (const std::string& line : std::exchange(notes(), {})) say(line);
}

void drop_notes() { notes().clear(); }

void show_progress(std::string_view text) noexcept {
  release_notes();
  write_error(text);
}

std::string shown_text(std::string_view text) { return printable(text); }

void show_text(std::string_view text) {
  release_notes();
  if (output_error != 0) return;
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size())
    output_error = errno != 0 ? errno : EIO;
}

bool reader_left() { return output_error == EPIPE; }

void finish_output() {
  release_notes();
  errno = 0;
  if (std::fflush(stdout) != 0 && output_error == 0) output_error = errno != 0 ? errno : EIO;
  // Who closes a pipe has read what he wanted; everything else is done.
  if (output_error == 0 || reader_left()) return;
  throw Error(fmt::format("cannot write to standard output ({}); free space, or send it elsewhere",
                          std::strerror(output_error)));
}

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free one is taken. Opened the wrong way round, so that what is printed to a closed stdout is
    // still an error.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

void when_stopped(const std::string& line) {
  const std::string clear(::isatty(STDERR_FILENO) != 0 ? kClearLine : "");
  stop_lines().push_back(std::make_unique<const std::string>(clear + line_of(line)));
  stop_line = stop_lines().back().get();
}

void hold_signals() { mask_signals(SIG_BLOCK); }

void handle_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  when_stopped("stopped before it was finished; run the same command again");
  for (const int signal : kStopping) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;  // nohup
    action = {};
    action.sa_handler = stop;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // a second one ends the program at once
    ::sigaction(signal, &action, nullptr);
  }
  mask_signals(SIG_UNBLOCK);
}

}  // namespace heatproof::cli
