// The bytes of an .onnx file → its message.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>

namespace heatproof {

/// Parses the file and returns its SHA-256. Throws InputError for what is no model, and for what describes so
/// many things that only memory would be gone: found before any is taken. Messages begin with `file`.
std::string parse(const std::filesystem::path& path, const std::string& file, onnx::ModelProto& proto);

}  // namespace heatproof
