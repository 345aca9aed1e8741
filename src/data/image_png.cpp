// PNG through libpng. What does not change pixels (texts, times, unknown chunks) is skipped unread, so that
// nothing of it can be unpacked.
#include <png.h>

#include <csetjmp>
#include <cstring>

#include "data/image_formats.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// A decoder with its own errors: libpng's would print them.
struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr, end = nullptr;
  std::string_view bytes;
  std::size_t at = 0;
  std::jmp_buf out;
  char message[160] = "";

  ~Reader() { png_destroy_read_struct(&png, &info, &end); }
};

void on_error(png_structp png, png_const_charp message) {
  auto& r = *static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(r.message, message, sizeof(r.message) - 1);
  std::longjmp(r.out, 1);
}
void on_warning(png_structp, png_const_charp) {}  // of profiles and texts; what harms pixels is an error

void on_read(png_structp png, png_bytep to, std::size_t count) {
  auto& r = *static_cast<Reader*>(png_get_io_ptr(png));
  if (count > r.bytes.size() - r.at) png_error(png, "the file ends too early");
  std::memcpy(to, r.bytes.data() + r.at, count);
  r.at += count;
}

/// Functions that libpng may leave at once hold nothing that would have to be destroyed.
bool start(Reader& r) {
  if (setjmp(r.out) != 0) return false;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
  if (r.png == nullptr) return false;
  r.info = png_create_info_struct(r.png);
  r.end = png_create_info_struct(r.png);
  if (r.info == nullptr || r.end == nullptr) return false;
  png_set_read_fn(r.png, &r, on_read);
  png_set_user_limits(r.png, kMostSide, kMostSide);
  static const png_byte kSkipped[] = "tEXt\0zTXt\0iTXt\0sPLT\0hIST\0pCAL\0sCAL\0tIME\0oFFs\0pHYs\0bKGD";
  png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, kSkipped, sizeof(kSkipped) / 5);
  png_read_info(r.png, r.info);
  return true;
}

/// 8 bits, without alpha: dropped, not blended.
bool convert(Reader& r, bool grey) {
  if (setjmp(r.out) != 0) return false;
  const png_byte type = png_get_color_type(r.png, r.info);
  const bool colour = (type & PNG_COLOR_MASK_COLOR) != 0;
  png_set_strip_16(r.png);
  png_set_strip_alpha(r.png);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r.png);
  if (!colour && png_get_bit_depth(r.png, r.info) < 8) png_set_expand_gray_1_2_4_to_8(r.png);
  if (grey)
    png_set_rgb_to_gray(r.png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
  else if (colour)
    png_set_bgr(r.png);
  else
    png_set_gray_to_rgb(r.png);
  png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  return true;
}

bool read_rows(Reader& r, png_bytep pixels, std::size_t step, png_uint_32 rows, int passes) {
  if (setjmp(r.out) != 0) return false;
  for (int pass = 0; pass < passes; ++pass) {
    for (png_uint_32 row = 0; row < rows; ++row) png_read_row(r.png, pixels + row * step, nullptr);
  }
  png_read_end(r.png, r.end);
  return true;
}

[[noreturn]] void fail(const Reader& r) {
  throw InputError(std::string("the PNG is damaged (") + r.message + "); save it again");
}

int orientation(Reader& r) {
  for (png_infop info : {r.info, r.end}) {
    png_uint_32 size = 0;
    png_bytep exif = nullptr;
    if (png_get_eXIf_1(r.png, info, &size, &exif) != 0)
      return exif_orientation({reinterpret_cast<const char*>(exif), size});
  }
  return 1;
}

}  // namespace

DecodedImage decode_png(std::string_view bytes, bool grey) {
  Reader r;
  r.bytes = bytes;
  if (!start(r)) fail(r);
  const auto width = static_cast<std::int64_t>(png_get_image_width(r.png, r.info));
  const auto height = static_cast<std::int64_t>(png_get_image_height(r.png, r.info));
  check_pixels(width, height);
  check_decoding(width, height, bytes.size(), 0);
  auto gate = gate_of(width, height);
  const int passes = png_get_interlace_type(r.png, r.info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
  if (!convert(r, grey)) fail(r);
  cv::Mat image(static_cast<int>(height), static_cast<int>(width), grey ? CV_8UC1 : CV_8UC3);
  if (png_get_rowbytes(r.png, r.info) != image.step) fail(r);
  if (!read_rows(r, image.data, image.step, static_cast<png_uint_32>(height), passes)) fail(r);
  return {std::move(gate), upright(image, orientation(r)), {}};
}

}  // namespace heatproof
