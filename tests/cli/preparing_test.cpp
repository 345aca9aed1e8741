// How pixels become inputs: what was said, what nobody said, and what does not fit.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "data/preprocessing.h"
#include "support/files.h"
#include "support/operators.h"
#include "support/written.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

std::string first_photo() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(shapes("images")))
    files.push_back(entry.path().string());
  return *std::ranges::min_element(files);
}

/// An array of uint8 as NumPy writes it.
std::string npy_of_bytes(const std::string& shape, const std::string& bytes) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size());
  file += '\0';
  return file + header + bytes;
}

class Preparing : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  /// A network that gives its input back, flat.
  std::string echo(const Dims& input) {
    Written net(input);
    net.node("Flatten", {"x"}, {"y"});
    write_file(folder / "echo.onnx", net.model.SerializeAsString());
    return (folder / "echo.onnx").string();
  }
  std::string file(const std::string& name, const std::string& bytes) {
    write_file(folder / name, bytes);
    return (folder / name).string();
  }
  /// What the network sees.
  std::vector<float> seen(const std::string& arguments, std::string* warnings = nullptr) {
    const std::filesystem::path y = folder / "y.npy";
    const Outcome o = heatproof("run " + arguments + " --output " + y.string());
    EXPECT_EQ(o.code, 0) << o.err;
    if (warnings != nullptr) *warnings = o.err;
    const Tensor t = read_npy(y);
    return {t.data<float>().begin(), t.data<float>().end()};
  }
};

void expect_near(const std::vector<float>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-6) << i;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_F(Preparing, EmptyArgumentsAreNoDefaults) {
  const std::string m = shapes("shapes.onnx").string();
  const std::string x = first_photo();
  for (const std::string& arguments : std::vector<std::string>{
           std::string("select '' ") + x, "select " + m + " ''", "run '' " + x, "run " + m + " ''",
           "inspect ''", "explain " + m + " " + x + " --recipe ''", "explain " + m + " '' --recipe gradient",
           "explain " + m + " " + x + " --recipe gradient --out ''",
           "explain " + m + " " + x + " --recipe gradient --out=",
           "evaluate " + m + " " + x + " --recipe gradient --metric ''",
           "evaluate " + m + " " + x + " --recipe gradient --metric sparseness --masks ''",
           "check " + m + " " + x + " --recipe gradient --target ''", "select " + m + " " + x + " --shard ''",
           "select " + m + " " + x + " --memory ''", "report ''", "synth ''", "demo ''", "bench ''",
           "merge '' --output o"}) {
    const Outcome o = heatproof(arguments);
    EXPECT_EQ(o.code, 2) << arguments << ": " << o.err;
    EXPECT_TRUE(has(o.err, "is empty")) << arguments << ": " << o.err;
    EXPECT_EQ(o.out, "") << arguments;
  }
}

TEST_F(Preparing, WhatNobodySaidIsAWarningOfEveryCommand) {
  std::filesystem::copy_file(shapes("shapes.onnx"), folder / "bare.onnx");
  const std::string m = (folder / "bare.onnx").string();
  const std::string on = m + " " + first_photo();
  const std::string out = " --out " + (folder / "out").string();
  for (const std::string& arguments : {"run " + on, "explain " + on + " --recipe gradient",
                                       "evaluate " + on + " --recipe gradient --metric sparseness",
                                       "check " + on + " --recipe gradient --metric sparseness",
                                       "select " + on + " --recipe gradient --metric sparseness" + out}) {
    const Outcome o = heatproof(arguments);
    EXPECT_EQ(o.code, 0) << arguments << ": " << o.err;
    EXPECT_TRUE(has(o.err, "nobody said how photos become the input of bare.onnx")) << arguments << o.err;
    EXPECT_TRUE(has(o.err, "bare.toml")) << o.err;
    EXPECT_EQ(heatproof(arguments + " --quiet").err, "") << arguments;
    EXPECT_FALSE(has(heatproof(arguments + " --range 1").err, "nobody said")) << arguments;
  }
  const std::string page = read_file(folder / "out" / "report.html");
  EXPECT_FALSE(has(page, "nobody said"));  // --range 1 came last
  heatproof("select " + on + " --recipe gradient --metric sparseness" + out);
  EXPECT_TRUE(has(read_file(folder / "out" / "report.html"), "nobody said how photos become the input"));
}

TEST_F(Preparing, AFileThatOnlyNamesLabelsSaysNothingOfPixels) {
  std::filesystem::copy_file(shapes("shapes.onnx"), folder / "m.onnx");
  file("m.toml", "[input]\nchannels = \"rgb\"\n");
  const std::string run = "run " + (folder / "m.onnx").string() + " " + first_photo();
  EXPECT_TRUE(has(heatproof(run).err, "nobody said"));
  file("m.toml", "[input]\nrange = 1\n");
  EXPECT_EQ(heatproof(run).err, "");
}

TEST_F(Preparing, PixelsOfArraysArePreparedAsThoseOfPhotos) {
  const std::string m = echo({1, 3, 1, 2});
  const std::string x = file("x.npy", npy_of_bytes("1, 3, 1, 2", std::string("\x00\xff\x33\x66\x99\xcc", 6)));
  const std::string on = m + " " + x;
  std::string warnings;
  expect_near(seen(on, &warnings), {0, 255, 51, 102, 153, 204});
  EXPECT_TRUE(has(warnings, "the uint8 values of x.npy are fed as they are")) << warnings;
  expect_near(seen(on + " --range 1", &warnings), {0, 1, 0.2, 0.4, 0.6, 0.8});
  EXPECT_EQ(warnings, "");
  expect_near(seen(on + " --range 255"), {0, 255, 51, 102, 153, 204});
  expect_near(seen(on + " --mean 0.5,0.2,0.6 --std 0.5,1,2"), {-1, 1, 0, 0.2, 0, 0.1});
  expect_near(seen(on + " --range 255 --mean 51"), {-51, 204, 0, 51, 102, 153});
  file("echo.toml", "[input]\nrange = 1\n");
  expect_near(seen(on), {0, 1, 0.2, 0.4, 0.6, 0.8});
}

TEST_F(Preparing, PixelsOfArraysWithChannelsLast) {
  const std::string first("\x00\x33\xff", 3);
  const std::string on =
      echo({1, 5, 6, 3}) + " " + file("x.npy", npy_of_bytes("1, 5, 6, 3", first + std::string(87, '\0')));
  std::vector<float> values = seen(on + " --mean 0,0.2,1");
  ASSERT_EQ(values.size(), 90U);
  values.resize(6);
  expect_near(values, {0, 0, 0, 0, -0.2, -1});
}

TEST_F(Preparing, FlagsThatChangeNothingInAnArrayAreNamed) {
  const std::string on =
      echo({1, 3, 1, 2}) + " " + file("x.npy", format_npy(floats({1, 3, 1, 2}, {1, 2, 3, 4, 5, 6})));
  std::string warnings;
  expect_near(seen(on, &warnings), {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(warnings, "");
  expect_near(seen(on + " --range 255 --mean 7", &warnings), {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(has(warnings, "fed as it is")) << warnings;
  seen(on + " --resize 9", &warnings);
  EXPECT_TRUE(has(warnings, "--resize changes nothing")) << warnings;
  seen(on + " --channels bgr", &warnings);
  EXPECT_TRUE(has(warnings, "--channels only says in which colours")) << warnings;
  const Outcome named =
      heatproof("run " + echo({1, 3, 1, 2}) + " --range 1 --input x=" + (folder / "x.npy").string());
  EXPECT_EQ(named.code, 2);
  EXPECT_TRUE(has(named.err, "--input takes arrays as they are")) << named.err;
}

TEST_F(Preparing, AnArrayKnowsWhetherItHoldsPixels) {
  EXPECT_TRUE(NpyFile(file("a.npy", npy_of_bytes("2,", "ab"))).bytes());
  EXPECT_FALSE(NpyFile(file("b.npy", format_npy(floats({2}, {1, 2})))).bytes());
  std::set<std::string> bytes;
  const auto arrays = read_npz(golden("operators.npz"), bytes);
  std::size_t models = 0;  // files as uint8
  for (const auto& [name, tensor] : arrays) {
    const bool model = name.ends_with("/model");
    EXPECT_EQ(bytes.contains(name), model || (bytes.contains(name) && tensor.dtype() == DType::i64)) << name;
    models += model ? 1 : 0;
  }
  EXPECT_GT(models, 300U);
}

TEST_F(Preparing, PhotosOfBgrNetworksKeepTheirColours) {
  Preprocessing p;
  p.channels = "bgr";
  p.range = 255;
  const Photo photo = photo_of({10, 20, 30}, 1, 1, p);
  EXPECT_EQ(photo.rgb, (std::vector<std::uint8_t>{10, 20, 30}));
  const auto x = photo.input.data<float>();
  EXPECT_EQ(std::vector<float>(x.begin(), x.end()), (std::vector<float>{30, 20, 10}));
}

TEST_F(Preparing, OverlaysOfBgrNetworksAreThoseOfTheSameRgbNetwork) {
  // Grey channels are equal whatever their order; a photo that is red only shows it.
  std::filesystem::copy_file(shapes("shapes.onnx"), folder / "m.onnx");
  const auto overlay = [&](const std::string& channels, const std::string& out) {
    const Outcome o =
        heatproof("explain " + (folder / "m.onnx").string() + " " + first_photo() + " --range 1 --channels " +
                  channels + " --recipe uniform --out " + (folder / out).string() + " --json");
    EXPECT_EQ(o.code, 0) << o.err;
    const json result = json::parse(o.out);
    for (const auto& path : result["files"]) {
      if (has(path.get<std::string>(), "overlay")) return read_file(path.get<std::string>());
    }
    return std::string();
  };
  const std::string rgb = overlay("rgb", "a");
  EXPECT_NE(rgb, "");
  EXPECT_EQ(rgb, overlay("bgr", "b"));
}

TEST_F(Preparing, PhotosThatDoNotFitComeWithTheRightAdvice) {
  const auto refusal = [&](const Dims& input, const std::string& flags = "") {
    const Outcome o = heatproof("run " + echo(input) + " " + first_photo() + " --range 1 " + flags);
    EXPECT_EQ(o.code, 3) << o.err;
    return o.err;
  };
  const std::string last = refusal({1, 24, 24, 3});
  EXPECT_TRUE(has(last, "channels last") && has(last, "1x24x24x3") && has(last, ".npy")) << last;
  const std::string size = refusal({1, 3, 24, 24}, "--size 12");
  EXPECT_TRUE(has(size, "cropped to 12x12") && has(size, "--size 24,24")) << size;
  const std::string more = refusal({1, 4, 24, 24});
  EXPECT_TRUE(has(more, "4 channels") && has(more, ".npy")) << more;
  const std::string gray = refusal({1, 3, 24, 24}, "--channels gray");
  EXPECT_TRUE(has(gray, "--channels rgb")) << gray;
  const std::string flat = refusal({1, 24});
  EXPECT_TRUE(has(flat, "no image of channels, height and width")) << flat;
  // A declared size needs no flag.
  EXPECT_EQ(heatproof("run " + echo({1, 3, 24, 24}) + " " + first_photo() + " --range 1").code, 0);
}

TEST_F(Preparing, ArraysThatDoNotFitComeWithTheRightAdvice) {
  const auto refusal = [&](const Dims& input, const std::string& shape, std::size_t elements) {
    const std::string x = file("x.npy", npy_of_bytes(shape, std::string(elements, '\1')));
    const Outcome o = heatproof("run " + echo(input) + " " + x + " --range 1");
    EXPECT_EQ(o.code, 3) << o.err;
    return o.err;
  };
  EXPECT_TRUE(has(refusal({1, 3, 8, 6}, "1, 8, 6, 3", 144), "transpose(0, 3, 1, 2)"));
  EXPECT_TRUE(has(refusal({1, 8, 6, 3}, "1, 3, 8, 6", 144), "transpose(0, 2, 3, 1)"));
  EXPECT_TRUE(has(refusal({1, 3, 8, 6}, "1, 3, 8, 8", 192), "arrays are fed as they are"));
}

TEST_F(Preparing, AxesOfImages) {
  EXPECT_TRUE(image_axes({-1, 240, 240, 3}).channels_last());
  EXPECT_TRUE(image_axes({1, -1, -1, 3}).channels_last());
  EXPECT_TRUE(image_axes({1, 28, 28, 1}).channels_last());
  EXPECT_FALSE(image_axes({1, 3, 240, 240}).channels_last());
  EXPECT_FALSE(image_axes({1, -1, -1, -1}).channels_last());
  EXPECT_FALSE(image_axes({1, 3, 10, 3}).channels_last());
  EXPECT_FALSE(image_axes({1, 28, 28}).channels_last());
}

}  // namespace heatproof
