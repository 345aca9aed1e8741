// NumPy's arrays: at once, row by row, in a zip, as the input of a network, and as masks.
#include <vector>

#include "data/input_source.h"
#include "data/masks.h"
#include "data/npy.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"

namespace heatproof::fuzz {

namespace {

void at_once(std::string_view bytes) {
  const Tensor t = parse_npy(bytes, "fuzz.npy");
  to_float(t);
  const Tensor again = parse_npy(format_npy(t), "again.npy");
  if (again.shape() != t.shape() || again.dtype() != t.dtype()) fail("an array that does not read back");
}

void row_by_row(const std::filesystem::path& path) {
  const NpyFile file(path);
  file.bytes();
  const Shape& shape = file.shape();
  const std::int64_t rows = shape.empty() ? 1 : shape[0];
  const Tensor whole = read_npy(path);
  if (rows > 0) file.rows(0, 1), file.rows(rows - 1, rows);
  if (whole.shape() != shape) fail("an array that has another shape row by row");
}

void as_input(const std::filesystem::path& path) {
  InputSource source(path, {}, {-1, -1, -1, -1});
  const Masks masks = Masks::at(path, source);
  InputSet set;
  for (std::int64_t i = 0; i < source.places() && i < 3; ++i) {
    LoadedInput one = source.load(i);
    set.items = {one.item}, set.inputs = one.input;
    masks.read(set);
  }
}

}  // namespace

void arrays(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 1 << 16) return;
  const std::string_view rest = bytes.substr(1);
  may_refuse([&] {
    switch (bytes[0]) {
      case 'n':
        return at_once(rest);
      case 'f':
        return row_by_row(file_of(rest, "fuzz.npy"));
      case 'z':
        read_npz(file_of(rest, "fuzz.npz"));
        return;
      case 'i':
        return as_input(file_of(rest, "fuzz.npy"));
      case 'p':
        return as_input(file_of(rest, "fuzz.npz"));
      default:
        return;
    }
  });
}

}  // namespace heatproof::fuzz
