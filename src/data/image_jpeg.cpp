// JPEG through libjpeg, with its own errors: libjpeg would print them, and fill what is missing with grey.
#include <fmt/format.h>

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>

#include "data/image_formats.h"
#include "heatproof/error.h"

namespace heatproof {

namespace {

/// Progressive files have about ten scans. Each goes over all blocks: a few seconds of work in all.
constexpr double kMostScannedBlocks = 1e9;
constexpr int kMostScans = 1000;

struct Reader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf out;
  char message[JMSG_LENGTH_MAX] = "";
  double blocks = 0;
  int extraneous = 0;     // bytes between parts that are none of the picture
  bool no_end = false;    // without the marker of the end
  bool one_scan = true;   // whatever misses its data is noticed
  bool too_long = false;  // more scans than a picture has

  Reader() {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
  }
  ~Reader() { jpeg_destroy_decompress(&info); }
};

Reader& reader_of(j_common_ptr info) { return *static_cast<Reader*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Reader& r = reader_of(info);
  info->err->format_message(info, r.message);
  std::longjmp(r.out, 1);
}

/// What libjpeg goes on after: the picture is whole, or it is an error.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  Reader& r = reader_of(info);
  const int* values = info->err->msg_parm.i;
  switch (info->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
      return;
    case JWRN_EXTRANEOUS_DATA:  // before a restart marker, data of the picture were lost
      if (values[1] >= 0xd0 && values[1] <= 0xd7) break;
      r.extraneous += values[0];
      return;
    case JWRN_JPEG_EOF:  // if bits are missing, more follows
      if (!r.one_scan) break;
      r.no_end = true;
      return;
    default:
      break;
  }
  on_error(info);
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  Reader& r = reader_of(info);
  const int scans = r.info.input_scan_number;
  if (scans <= kMostScans && scans * r.blocks <= kMostScannedBlocks) return;
  if (scans <= 64) return;  // the most that scripts of encoders have
  r.too_long = true;
  std::longjmp(r.out, 1);
}

/// Functions that libjpeg may leave at once hold nothing that would have to be destroyed.
bool start(Reader& r, const unsigned char* bytes, std::size_t size) {
  if (setjmp(r.out) != 0) return false;
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  r.errors.output_message = on_output;
  jpeg_create_decompress(&r.info);
  r.progress.progress_monitor = on_progress;
  r.info.progress = &r.progress;
  jpeg_mem_src(&r.info, bytes, size);
  jpeg_save_markers(&r.info, JPEG_APP0 + 1, 0xffff);
  jpeg_read_header(&r.info, TRUE);
  r.one_scan = jpeg_has_multiple_scans(&r.info) == FALSE;
  return true;
}

bool begin_rows(Reader& r, J_COLOR_SPACE space) {
  if (setjmp(r.out) != 0) return false;
  r.info.out_color_space = space;
  jpeg_start_decompress(&r.info);
  return true;
}

bool read_rows(Reader& r, unsigned char* pixels, std::size_t step) {
  if (setjmp(r.out) != 0) return false;
  while (r.info.output_scanline < r.info.output_height) {
    JSAMPROW row = pixels + r.info.output_scanline * step;
    jpeg_read_scanlines(&r.info, &row, 1);
  }
  jpeg_finish_decompress(&r.info);
  return true;
}

[[noreturn]] void fail(const Reader& r) {
  if (r.too_long)
    throw InputError(fmt::format("the JPEG has {} scans or more, and pictures have about ten; save it again",
                                 r.info.input_scan_number));
  throw InputError(fmt::format("the JPEG is damaged or cut off ({}); save it again", r.message));
}

/// Of the first APP1 segment.
int orientation(const Reader& r) {
  const jpeg_saved_marker_ptr marker = r.info.marker_list;
  if (marker == nullptr || marker->data_length <= 6) return 1;
  return exif_orientation({reinterpret_cast<const char*>(marker->data) + 6, marker->data_length - 6});
}

/// Of inverted inks, as Photoshop writes them; grey by the weights of BT.601.
cv::Mat from_inks(const cv::Mat& inks, bool grey) {
  cv::Mat image(inks.rows, inks.cols, grey ? CV_8UC1 : CV_8UC3);
  for (int y = 0; y < inks.rows; ++y) {
    const std::uint8_t* from = inks.ptr(y);
    std::uint8_t* to = image.ptr(y);
    for (int x = 0; x < inks.cols; ++x, from += 4) {
      int rgb[3];
      for (int c = 0; c < 3; ++c) rgb[c] = from[3] - ((255 - from[c]) * from[3] >> 8);
      if (grey) {
        *to++ = static_cast<std::uint8_t>((4899 * rgb[0] + 9617 * rgb[1] + 1868 * rgb[2] + 8192) >> 14);
      } else {
        for (int c = 2; c >= 0; --c) *to++ = static_cast<std::uint8_t>(rgb[c]);
      }
    }
  }
  return image;
}

std::string oddity_of(const Reader& r) {
  if (r.no_end) return "the JPEG ends without its end marker; it may have been cut off";
  if (r.extraneous > 0)
    return fmt::format("{} bytes of the JPEG are none of its picture; it may be damaged", r.extraneous);
  return {};
}

}  // namespace

DecodedImage decode_jpeg(std::string_view bytes, bool grey) {
  Reader r;
  if (!start(r, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size())) fail(r);
  const std::int64_t width = r.info.image_width;
  const std::int64_t height = r.info.image_height;
  check_pixels(width, height);
  for (int c = 0; c < r.info.num_components; ++c)
    r.blocks +=
        static_cast<double>(r.info.comp_info[c].width_in_blocks) * r.info.comp_info[c].height_in_blocks;
  const bool inks = r.info.num_components == 4;
  const double kept = r.one_scan ? 0 : r.blocks * DCTSIZE2 * sizeof(JCOEF);
  check_decoding(width, height, bytes.size(), kept + (inks ? 4.0 * static_cast<double>(width * height) : 0));
  auto gate = gate_of(width, height);
  if (!begin_rows(r, inks ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_EXT_BGR)) fail(r);
  const int channels = r.info.output_components;
  if (channels != (inks ? 4 : grey ? 1 : 3)) fail(r);
  const int turn = orientation(r);  // libjpeg forgets it at the end
  cv::Mat image(static_cast<int>(height), static_cast<int>(width), CV_8UC(channels));
  if (!read_rows(r, image.data, image.step)) fail(r);
  return {std::move(gate), upright(inks ? from_inks(image, grey) : image, turn), oddity_of(r)};
}

}  // namespace heatproof
