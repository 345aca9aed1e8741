#include "data/input_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/files.h"
#include "base/threads.h"
#include "data/npy.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

namespace fs = std::filesystem;

std::string extension(const fs::path& path) {
  std::string e = path.extension().string();
  std::ranges::transform(e, e.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return e;
}

bool is_image(const fs::path& path) {
  static const std::vector<std::string> known{".png", ".jpg",  ".jpeg", ".bmp", ".webp",
                                              ".tif", ".tiff", ".ppm",  ".pgm"};
  return std::ranges::count(known, extension(path)) != 0;
}

std::string hash_of(const Tensor& t) {
  return sha256(to_string(t.shape()) + ":" + std::string(static_cast<const char*>(t.raw()), t.bytes()));
}

Tensor read_array(const fs::path& path) {
  if (extension(path) == ".npy") return read_npy(path);
  const auto arrays = read_npz(path);
  for (const char* key : {"images", "input", "inputs", "x"}) {
    if (const auto it = arrays.find(key); it != arrays.end()) return it->second;
  }
  if (arrays.size() == 1) return arrays.begin()->second;
  throw InputError(fmt::format("{}: holds {} arrays, none named 'images' or 'input'; save one array",
                               path.string(), arrays.size()));
}

InputSet from_array(const fs::path& path, const std::vector<std::int64_t>& expected, std::int64_t most) {
  Tensor t = to_float(read_array(path));
  const std::string name = path.filename().string();
  const auto rank = static_cast<int>(expected.size());
  Shape shape = t.shape();
  // An axis of length 1 that the array leaves out (N, H, W for a network with one channel), or a single
  // sample.
  if (shape.rank() + 1 == rank && rank >= 2 && expected[1] == 1)
    shape.insert(shape.begin() + 1, 1);
  else if (shape.rank() + 1 == rank)
    shape.insert(shape.begin(), 1);
  if (shape.elements() == 0)
    throw InputError(fmt::format("{}: holds no samples (shape {})", name, to_string(t.shape())));
  if (shape.rank() != rank)
    throw InputError(fmt::format("{}: shape {} does not fit a network input of {} axes", name,
                                 to_string(t.shape()), rank));
  t = t.reshaped(shape);
  if (most > 0 && shape[0] > most) t = t.rows(0, most);
  check_finite(t, name);
  InputSet set;
  set.inputs = t;
  for (std::int64_t i = 0; i < t.shape()[0]; ++i)
    set.items.push_back({fmt::format("row {}", i), hash_of(t.rows(i, i + 1))});
  return set;
}

std::vector<fs::path> photos_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const bool mask = entry.path().stem().extension() == ".mask";
    if (entry.is_regular_file() && is_image(entry.path()) && !mask) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  if (files.empty())
    throw InputError(fmt::format("{}: no images in this folder; .png, .jpg, .bmp, .webp and .tif are read",
                                 folder.string()));
  return files;
}

}  // namespace

InputSet load_inputs(const fs::path& path, const Preprocessing& preprocessing,
                     const std::vector<std::int64_t>& expected, std::int64_t most) {
  std::error_code error;
  const bool folder = fs::is_directory(path, error);
  if (!folder && !fs::exists(path, error))
    throw InputError(fmt::format("{}: no such file or folder; check the path", path.string()));
  if (!folder && (extension(path) == ".npy" || extension(path) == ".npz"))
    return from_array(path, expected, most);
  std::vector<fs::path> files = folder ? photos_in(path) : std::vector{path};
  if (most > 0 && static_cast<std::int64_t>(files.size()) > most)
    files.resize(static_cast<std::size_t>(most));
  std::vector<std::optional<Photo>> photos(files.size());
  std::vector<std::string> reasons(files.size());
  parallel_for(static_cast<std::int64_t>(files.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      try {
        photos[i] = load_photo(files[i], preprocessing);
      } catch (const std::exception& e) {
        reasons[i] = e.what();
      }
    }
  });
  InputSet set;
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string name = files[i].filename().string();
    if (photos[i] && !inputs.empty() && photos[i]->input.shape() != inputs[0].shape())
      reasons[i] = "another size than the others; use --size";
    if (!photos[i] || !reasons[i].empty()) {
      set.skipped.push_back({name, reasons[i]});
      continue;
    }
    set.items.push_back({name, hash_of(photos[i]->input), photos[i]->height, photos[i]->width});
    inputs.push_back(photos[i]->input);
    set.rgb.push_back(std::move(photos[i]->rgb));
  }
  if (inputs.empty())
    throw InputError(set.skipped.size() == 1
                         ? set.skipped[0].reason
                         : fmt::format("{}: none of {} images can be read; the first: {}", path.string(),
                                       files.size(), set.skipped[0].reason));
  set.inputs = concatenate(inputs);
  return set;
}

void check_finite(const Tensor& t, const std::string& name) {
  const auto values = t.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      throw InputError(
          fmt::format("{}: value {} at flat position {} is not finite; clean the data", name, values[i], i));
  }
}

}  // namespace heatproof
