// Photos: OpenCV decodes them, which is not instrumented; its crashes are found all the same.
#include "data/preprocessing.h"
#include "fuzz/support.h"
#include "fuzz/targets.h"

namespace heatproof::fuzz {

void images(std::string_view bytes) {
  const auto path = file_of(bytes, "photo.png");  // decoders look at the bytes, not at the name
  Preprocessing p{.resize = 8, .height = 6, .width = 5};
  may_refuse([&] {
    const Photo photo = load_photo(path, p);
    if (photo.input.shape() != Shape{1, 3, 6, 5} || photo.rgb.size() != 6 * 5 * 3)
      fail("a photo of another size");
  });
  p.channels = "gray";
  may_refuse([&] { load_photo(path, p); });
  may_refuse([&] { fit_mask(read_gray(path), p); });
}

}  // namespace heatproof::fuzz
