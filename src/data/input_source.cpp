#include "data/input_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>

#include "base/files.h"
#include "data/input_stream.h"
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
  Sha256 hash;
  hash.add(to_string(t.shape()) + ":");
  hash.add({static_cast<const char*>(t.raw()), t.bytes()});
  return hash.digits();
}

/// The one array of an .npz that holds inputs, and whether its elements are uint8.
std::pair<Tensor, bool> read_zipped(const fs::path& path) {
  std::set<std::string> bytes;
  const auto arrays = read_npz(path, bytes);
  for (const char* key : {"images", "input", "inputs", "x"}) {
    if (const auto it = arrays.find(key); it != arrays.end()) return {it->second, bytes.contains(key)};
  }
  if (arrays.size() == 1) return {arrays.begin()->second, !bytes.empty()};
  throw InputError(fmt::format("{}: holds {} arrays, none named 'images' or 'input'; save one array",
                               path.string(), arrays.size()));
}

std::vector<fs::path> photos_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const bool mask = entry->path().stem().extension() == ".mask";
    std::error_code unknown;  // of a link that leads nowhere, which is named as one that cannot be read
    if (is_image(entry->path()) && !mask && !entry->is_directory(unknown)) files.push_back(entry->path());
  }
  if (error)
    throw InputError(fmt::format("{}: the folder cannot be read ({}); check its permissions", folder.string(),
                                 error.message()));
  std::ranges::sort(files, {}, [](const fs::path& path) { return path.filename().native(); });
  if (files.empty())
    throw InputError(fmt::format("{}: no images in this folder; .png, .jpg, .bmp, .webp and .tif are read",
                                 folder.string()));
  return files;
}

/// Why a photo, which became a `shape`, is no input of the network, and what to do.
std::string misfit_of_photo(const Shape& shape, const Shape& wanted) {
  const std::string input = to_string(wanted);
  if (wanted.rank() != 4)
    return fmt::format(
        "the network's input is {}, which is no image of channels, height and width; give data of that shape "
        "as "
        ".npy",
        input);
  if (image_axes(wanted).channels_last())
    return fmt::format(
        "the network's input is {}, with channels last as Keras has them, and photos cannot be fed that way "
        "yet; "
        "give prepared data of that shape as .npy, or export the network with channels first (tf2onnx "
        "--inputs-as-nchw)",
        input);
  if (shape[1] != wanted[1])
    return fmt::format("the network's input is {} with {} channels, and the photo has {}; {}", input,
                       wanted[1], shape[1],
                       wanted[1] == 3   ? "use --channels rgb or --channels bgr"
                       : wanted[1] == 1 ? "use --channels gray"
                                        : "give prepared data of that shape as .npy");
  return fmt::format(
      "the photo was cropped to {}x{}, and the network's input is {}x{}; leave --size (and size in "
      "MODEL.toml) "
      "away, or use --size {},{}",
      shape[2], shape[3], wanted[2], wanted[3], wanted[2], wanted[3]);
}

/// The same of an array, whose samples have a `shape`.
std::string misfit_of_array(const Shape& shape, const Shape& wanted) {
  std::string advice = "arrays are fed as they are: give one of that shape";
  const auto fits = [&](std::array<std::size_t, 4> order) {
    for (std::size_t i = 1; i < 4; ++i) {
      if (wanted[i] > 0 && shape[order[i]] != wanted[i]) return false;
    }
    return true;
  };
  if (shape.rank() == 4 && fits({0, 3, 1, 2}))
    advice = "its channels come last, and the network takes them first: save x.transpose(0, 3, 1, 2)";
  else if (shape.rank() == 4 && fits({0, 2, 3, 1}))
    advice = "its channels come first, and the network takes them last: save x.transpose(0, 2, 3, 1)";
  return fmt::format("data of shape {} does not fit the network's input {}; {}", to_string(shape),
                     to_string(wanted), advice);
}

}  // namespace

/// The rows of an array.
struct InputSource::Rows {
  std::optional<NpyFile> file;
  Tensor whole;         // of a zip, which cannot be read in parts
  Shape shape;          // of all samples, in as many axes as the network's input
  bool single = false;  // the array is one sample, without an axis of them
  bool pixels = false;  // of uint8

  Tensor read(std::int64_t row) const {
    Tensor t = whole;
    if (single)
      t = whole.defined() ? whole : file->rows(0, file->shape()[0]);
    else
      t = whole.defined() ? whole.rows(row, row + 1) : file->rows(row, row + 1);
    Shape one = shape;
    one[0] = 1;
    return to_float(t).reshaped(one);
  }
};

InputSource::InputSource(const fs::path& path, const Preprocessing& preprocessing,
                         const std::vector<std::int64_t>& expected, std::int64_t most)
    : path_(path), preprocessing_(preprocessing), expected_(expected) {
  std::error_code error;
  const bool folder = fs::is_directory(path, error);
  if (!folder && !fs::exists(path, error))
    throw InputError(error && error != std::errc::no_such_file_or_directory
                         ? fmt::format("{}: cannot be read ({})", path.string(), error.message())
                         : fmt::format("{}: no such file or folder; check the path", path.string()));
  if (!folder && (extension(path) == ".npy" || extension(path) == ".npz")) {
    open_array(most);
    return;
  }
  files_ = folder ? photos_in(path) : std::vector{path};
  if (most > 0 && static_cast<std::int64_t>(files_.size()) > most)
    files_.resize(static_cast<std::size_t>(most));
}

void InputSource::open_array(std::int64_t most) {
  auto rows = std::make_shared<Rows>();
  if (extension(path_) == ".npy")
    rows->file.emplace(path_);
  else
    std::tie(rows->whole, rows->pixels) = read_zipped(path_);
  if (rows->file) rows->pixels = rows->file->bytes();
  const Shape given = rows->file ? rows->file->shape() : rows->whole.shape();
  const std::string name = path_.filename().string();
  if (given.empty())
    throw InputError(fmt::format("{}: holds a single number, no samples; save an array of them", name));
  const auto rank = static_cast<int>(expected_.size());
  Shape& shape = rows->shape = given;
  // An axis of length 1 that the array leaves out (N, H, W for a network with one channel), or a single
  // sample.
  if (shape.rank() + 1 == rank && rank >= 2 && expected_[1] == 1) {
    shape.insert(shape.begin() + 1, 1);
  } else if (shape.rank() + 1 == rank) {
    shape.insert(shape.begin(), 1);
    rows->single = true;
  }
  if (shape.elements() == 0)
    throw InputError(fmt::format("{}: holds no samples (shape {})", name, to_string(given)));
  if (shape.rank() != rank)
    throw InputError(
        fmt::format("{}: shape {} does not fit a network input of {} axes", name, to_string(given), rank));
  if (most > 0) shape[0] = std::min(shape[0], most);
  rows_ = std::move(rows);
  check_shape(rows_->shape);
  count_ = rows_->shape[0];
}

std::int64_t InputSource::places() const {
  return photos() ? static_cast<std::int64_t>(files_.size()) : rows_->shape[0];
}

bool InputSource::pixels() const { return !photos() && rows_->pixels; }

std::string InputSource::name(std::int64_t place) const {
  return photos() ? files_[static_cast<std::size_t>(place)].filename().string()
                  : fmt::format("row {}", place);
}

const fs::path& InputSource::file(std::int64_t place) const {
  return photos() ? files_[static_cast<std::size_t>(place)] : path_;
}

std::int64_t InputSource::count() const {
  if (count_ >= 0) return count_;
  InputStream stream(*this);
  std::int64_t count = 0;
  while (const std::int64_t n = stream.next(stream.ahead()).size()) count += n;
  return count_ = count;
}

std::int64_t InputSource::sample_bytes() const {
  constexpr std::int64_t kOpen = std::int64_t{1} << 23;  // nothing is declared
  std::int64_t bytes = 4;
  for (std::size_t i = 1; i < expected_.size(); ++i) {
    if (expected_[i] <= 0) return kOpen;
    bytes *= expected_[i];
  }
  return bytes;
}

LoadedInput InputSource::load(std::int64_t place) const {
  if (!photos()) return load_row(place);
  Photo photo = load_photo(files_[static_cast<std::size_t>(place)], preprocessing_);
  return {{name(place), hash_of(photo.input), photo.height, photo.width, place},
          std::move(photo.input),
          std::move(photo.rgb),
          std::move(photo.oddity)};
}

LoadedInput InputSource::load_row(std::int64_t row) const {
  Tensor t = rows_->read(row);
  if (rows_->pixels && preprocessing_.stated) t = prepared(t, preprocessing_);
  if (finite_) check_finite(t, path_.filename().string(), row * t.elements());
  return {{name(row), hash_of(t), 0, 0, row}, t, {}, {}};
}

void InputSource::check_shape(const Shape& shape) const {
  bool fits = shape.size() == expected_.size();
  for (std::size_t i = 1; fits && i < shape.size(); ++i) fits = expected_[i] <= 0 || expected_[i] == shape[i];
  if (fits) return;
  Shape wanted(std::span<const std::int64_t>(expected_.data(), expected_.size()));
  throw InputError(fmt::format("{}: {}", path_.string(),
                               photos() ? misfit_of_photo(shape, wanted) : misfit_of_array(shape, wanted)));
}

void check_finite(const Tensor& t, const std::string& name, std::int64_t first) {
  const auto values = t.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      throw InputError(fmt::format("{}: value {} at flat position {} is not finite; clean the data", name,
                                   values[i], first + static_cast<std::int64_t>(i)));
  }
}

}  // namespace heatproof
