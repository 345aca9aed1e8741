#include "data/masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/threads.h"
#include "data/npy.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

namespace fs = std::filesystem;

/// [N, H, W] of the network's maps.
Shape maps_of(const InputSet& set) {
  const Shape& x = set.inputs.shape();
  return x.rank() == 4 ? Shape{set.size(), x[2], x[3]} : Shape{set.size(), 1, x.elements() / set.size()};
}

/// Throws InputError for a mask of values that are no numbers, and for one that marks nothing: no explanation
/// could hit it.
void check_marks(const Tensor& mask, const std::string& name) {
  if (std::ranges::any_of(mask.data<float>(), [](float v) { return std::isnan(v); }))
    throw InputError(fmt::format("{}: the mask holds NaN; save 0 and 1", name));
  if (std::ranges::none_of(mask.data<float>(), [](float v) { return v > 0; }))
    throw InputError(
        fmt::format("{}: the mask is empty; leave its image out, or mark the evidence in it", name));
}

/// [H, W] of 0 and 1 as it lies on the disk.
Tensor read_mask(const fs::path& path) {
  if (path.extension() != ".npy") return read_gray(path);
  Tensor mask = to_float(read_npy(path));
  if (mask.shape().rank() != 2)
    throw InputError(
        fmt::format("{}: a mask of shape {}; [H, W] is needed", path.string(), to_string(mask.shape())));
  check_marks(mask, path.string());
  mask = mask.clone();
  for (float& v : mask.data<float>()) v = v > 0 ? 1.0F : 0.0F;
  return mask;
}

/// The mask of one input in the network's size, [1, H, W].
Tensor fitted(const fs::path& path, const InputItem& item, const Shape& wanted, const Preprocessing& p) {
  Tensor mask = read_mask(path);
  const std::int64_t height = mask.shape()[0];
  const std::int64_t width = mask.shape()[1];
  if (item.height > 0 && height == item.height && width == item.width) {
    mask = fit_mask(mask, p);
  } else if (height != wanted[0] || width != wanted[1]) {
    const std::string photo =
        item.height > 0 ? fmt::format(", its photo {}x{}", item.width, item.height) : "";
    throw InputError(fmt::format(
        "{}: the mask has {}x{} pixels{}; draw it at the size of {}{}x{}", path.string(), width, height,
        photo, item.height > 0 ? "its photo, or of the network's input, " : "the network's input, ",
        wanted[1], wanted[0]));
  }
  check_marks(mask, path.string());
  return mask.reshaped({1, wanted[0], wanted[1]});
}

/// A row of an array as the mask of one input, [1, H, W].
Tensor row_of(const NpyFile& array, std::int64_t row, const Shape& wanted, const std::string& name) {
  const Tensor mask = to_float(array.rows(row, row + 1));
  const Shape one{1, wanted[1], wanted[2]};
  if (mask.shape() != one && mask.shape() != Shape{1, 1, wanted[1], wanted[2]}) {
    Shape needed = wanted;
    needed[0] = array.shape()[0];
    throw InputError(fmt::format("{}: masks of shape {}, {} is needed", name, to_string(array.shape()),
                                 to_string(needed)));
  }
  check_marks(mask, fmt::format("{}, row {}", name, row));
  return mask.reshaped(one);
}

/// FOLDER/NAME.png, or .npy; empty where neither exists.
fs::path either(const fs::path& folder, const std::string& name) {
  std::error_code error;  // a name that is too long is none
  for (const char* ending : {".png", ".npy"}) {
    if (fs::exists(folder / (name + ending), error)) return folder / (name + ending);
  }
  return {};
}

std::string stem_of(const std::string& name) { return fs::path(name).stem().string(); }

}  // namespace

Masks Masks::from_array(const fs::path& path, const InputSource& inputs) {
  Masks m;
  m.array_ = std::make_shared<NpyFile>(path);
  m.source_ = path.string();
  const Shape& shape = m.array_->shape();
  if (shape.empty() || shape[0] != inputs.count())
    throw InputError(fmt::format("{}: masks of shape {}, {} of them are needed", m.source_, to_string(shape),
                                 inputs.count()));
  return m;
}

Masks Masks::at(const fs::path& path, const InputSource& inputs) {
  if (!fs::is_directory(path) && (path.extension() == ".npy" || inputs.places() != 1))
    return from_array(path, inputs);
  Masks m;
  m.preprocessing_ = inputs.preprocessing();
  if (!fs::is_directory(path)) {
    m.find_ = [path](const std::string&) { return path; };
    return m;
  }
  m.find_ = [path](const std::string& input) {
    const std::string name = stem_of(input);
    fs::path file = either(path, name);
    if (file.empty())
      throw InputError(
          fmt::format("{}: no mask of {}; {}.png or {}.npy is needed", path.string(), input, name, name));
    return file;
  };
  return m;
}

Masks Masks::beside(const InputSource& inputs) {
  const fs::path& input = inputs.path();
  if (!inputs.photos()) {
    const fs::path file = fs::path(input).replace_extension(".mask.npy");
    std::error_code error;
    return fs::exists(file, error) ? from_array(file, inputs) : Masks();
  }
  const fs::path whole = fs::absolute(input);  // a bare name has no folder
  const fs::path photos = (fs::is_directory(input) ? whole : whole.parent_path()).lexically_normal();
  const fs::path above = (photos.has_filename() ? photos : photos.parent_path()).parent_path();
  const auto found = [photos, above](const std::string& of) {
    const std::string name = stem_of(of);
    fs::path file = either(photos, name + ".mask");
    for (const fs::path& masks : {photos / "masks", above / "masks"}) {
      if (file.empty()) file = either(masks, name);
    }
    return file;
  };
  bool some = false;
  for (std::int64_t i = 0; i < inputs.places() && !some; ++i) some = !found(inputs.name(i)).empty();
  Masks m;
  if (!some) return m;
  m.preprocessing_ = inputs.preprocessing();
  m.find_ = [found, input](const std::string& name) {
    fs::path file = found(name);
    if (file.empty())
      throw InputError(
          fmt::format("{}: {} has no mask, others have; add {}.mask.png beside it, or give --masks",
                      input.string(), name, stem_of(name)));
    return file;
  };
  return m;
}

void Masks::read(InputSet& set) const {
  if (!*this || set.size() == 0) return;
  const Shape wanted = maps_of(set);
  std::vector<Tensor> masks(set.items.size());
  try_parallel_for(set.size(), [&](std::int64_t i) {
    const InputItem& item = set.items[static_cast<std::size_t>(i)];
    Tensor& mask = masks[static_cast<std::size_t>(i)];
    if (find_) {
      mask = fitted(find_(item.name), item, {wanted[1], wanted[2]}, preprocessing_);
    } else {
      mask = row_of(*array_, item.index, wanted, source_);
    }
  });
  set.masks = concatenate(masks);
}

}  // namespace heatproof
