// Errors of heatproof. Every error says what, where, why and what to do, in one line.
//
//   throw InputError("photo.jpg: not an image that OpenCV can decode; give a PNG, JPEG or .npy file");
#pragma once

#include <stdexcept>
#include <string>

namespace heatproof {

/// Base of every error that heatproof throws. `exit_code()` is the process's exit code in the program.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, int exit_code = 1)
      : std::runtime_error(what), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

/// Wrong usage: an unknown recipe, a parameter out of range, contradictory flags. Exit code 2.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& what) : Error(what, 2) {}
};

/// A file that cannot be read, is damaged, or does not fit the network. Exit code 3.
class InputError : public Error {
 public:
  explicit InputError(const std::string& what) : Error(what, 3) {}
};

/// The model has operators (or attributes of operators) that heatproof does not support. Exit code 4.
class UnsupportedError : public Error {
 public:
  explicit UnsupportedError(const std::string& what) : Error(what, 4) {}
};

}  // namespace heatproof
