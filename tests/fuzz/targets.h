// The fuzz targets: functions of the library that read what others wrote. Each takes any bytes, and returns
// where all went well or was refused; whatever else it throws is a finding.
//
// libFuzzer calls them through entry.cpp; corpus_test.cpp calls them with the files in corpus/.
#pragma once

#include <string_view>

namespace heatproof::fuzz {

/// An .onnx file: imported, canonicalized, compiled, run, explained.
void model(std::string_view bytes);
/// Recipes, metrics, grids, TOML files and labels; the first character says which.
void words(std::string_view bytes);
/// Arrays; the first character says how they are read.
void arrays(std::string_view bytes);
/// A photo: as an input, and as a mask.
void images(std::string_view bytes);
/// A results.sqlite: read, merged and finished.
void results(std::string_view bytes);
/// A random valid graph that the bytes describe: what is computed is compared with its definition.
void graphs(std::string_view bytes);

}  // namespace heatproof::fuzz
