// Masks of the true evidence, for metrics of localisation.
#pragma once

#include <filesystem>

#include "data/input_set.h"

namespace heatproof {

/// Masks from an array [N, H, W], or a folder of PNGs or arrays [H, W] named like the inputs (NAME.png,
/// NAME.npy). A mask has its photo's size, and goes through the same resize and crop without interpolation;
/// or it has the network's size, and stays. What is above half (PNG) or above 0 (array) is evidence. Throws
/// InputError where one is missing, empty, or of another size.
void load_masks(InputSet& set, const std::filesystem::path& path, const Preprocessing& preprocessing);

/// The same from files beside the inputs, with endings .png or .npy: NAME.mask.png, masks/NAME.png in the
/// photos' folder or next to it; INPUT.mask.npy for an array. False where no input has one; throws InputError
/// where only some have.
bool find_masks(InputSet& set, const std::filesystem::path& input, const Preprocessing& preprocessing);

}  // namespace heatproof
