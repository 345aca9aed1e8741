#include "data/masks.h"

#include <fmt/format.h>

#include <algorithm>

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

/// Throws InputError for a mask that marks nothing: no explanation could hit it.
void check_not_empty(const Tensor& mask, const std::string& name) {
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
  check_not_empty(mask, path.string());
  return mask.reshaped({1, wanted[0], wanted[1]});
}

void take_array(InputSet& set, const fs::path& path) {
  const Shape wanted = maps_of(set);
  Tensor masks = to_float(read_npy(path));
  const Shape single{wanted[0], 1, wanted[1], wanted[2]};
  if (masks.shape() == single) masks = masks.reshaped(wanted);
  if (masks.shape() != wanted)
    throw InputError(fmt::format("{}: masks of shape {}, {} is needed", path.string(),
                                 to_string(masks.shape()), to_string(wanted)));
  for (std::int64_t i = 0; i < set.size(); ++i)
    check_not_empty(masks.rows(i, i + 1), fmt::format("{}, row {}", path.string(), i));
  set.masks = masks;
}

/// FOLDER/NAME.png, or .npy; empty where neither exists.
fs::path either(const fs::path& folder, const std::string& name) {
  for (const char* ending : {".png", ".npy"}) {
    if (fs::exists(folder / (name + ending))) return folder / (name + ending);
  }
  return {};
}

void take_files(InputSet& set, const std::vector<fs::path>& files, const Preprocessing& p) {
  const Shape wanted = maps_of(set);
  std::vector<Tensor> masks;
  for (std::size_t i = 0; i < files.size(); ++i)
    masks.push_back(fitted(files[i], set.items[i], {wanted[1], wanted[2]}, p));
  set.masks = concatenate(masks);
}

}  // namespace

void load_masks(InputSet& set, const fs::path& path, const Preprocessing& preprocessing) {
  if (!fs::is_directory(path)) {
    // One picture is the mask of one photo.
    if (path.extension() == ".npy" || set.size() != 1) return take_array(set, path);
    return take_files(set, {path}, preprocessing);
  }
  std::vector<fs::path> files;
  for (const InputItem& item : set.items) {
    const std::string name = fs::path(item.name).stem().string();
    files.push_back(either(path, name));
    if (files.back().empty())
      throw InputError(
          fmt::format("{}: no mask of {}; {}.png or {}.npy is needed", path.string(), item.name, name, name));
  }
  take_files(set, files, preprocessing);
}

bool find_masks(InputSet& set, const fs::path& input, const Preprocessing& preprocessing) {
  const bool folder = fs::is_directory(input);
  if (!folder && set.rgb.empty()) {  // an array
    const fs::path beside = fs::path(input).replace_extension(".mask.npy");
    if (!fs::exists(beside)) return false;
    take_array(set, beside);
    return true;
  }
  const fs::path photos = fs::absolute(folder ? input : input.parent_path()).lexically_normal();
  const fs::path above = (photos.has_filename() ? photos : photos.parent_path()).parent_path();
  std::vector<fs::path> files;
  std::string missing;
  for (const InputItem& item : set.items) {
    const std::string name = fs::path(item.name).stem().string();
    fs::path file = either(photos, name + ".mask");
    for (const fs::path& masks : {photos / "masks", above / "masks"}) {
      if (file.empty()) file = either(masks, name);
    }
    if (file.empty()) missing = item.name;
    files.push_back(file);
  }
  if (std::ranges::all_of(files, [](const fs::path& f) { return f.empty(); })) return false;
  if (!missing.empty())
    throw InputError(
        fmt::format("{}: {} has no mask, others have; add {}.mask.png beside it, or give --masks",
                    input.string(), missing, fs::path(missing).stem().string()));
  take_files(set, files, preprocessing);
  return true;
}

}  // namespace heatproof
