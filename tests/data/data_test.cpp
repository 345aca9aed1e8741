#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include <opencv2/imgcodecs.hpp>

#include "base/files.h"
#include "base/random.h"
#include "data/input_stream.h"
#include "data/masks.h"
#include "data/npy.h"
#include "data/preprocessing.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

class Data : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  void write_image(const std::string& name, int height, int width, const cv::Scalar& bgr) {
    ASSERT_TRUE(cv::imwrite((folder / name).string(), cv::Mat(height, width, CV_8UC3, bgr)));
  }
};

}  // namespace

TEST_F(Data, NpyRoundTrip) {
  const Tensor x = random_tensor({2, 3, 4}, 1);
  write_file(folder / "x.npy", format_npy(x));
  expect_equal(read_npy(folder / "x.npy"), x);
  const Tensor n = integers({3}, {1, -2, 3});
  expect_equal(parse_npy(format_npy(n), "n"), n);
}

TEST_F(Data, DamagedNpyNeverCrashes) {
  const std::string bytes = format_npy(random_tensor({4, 5}, 1));
  for (std::size_t length = 0; length < bytes.size(); length += 3)
    EXPECT_THROW(parse_npy(std::string_view(bytes).substr(0, length), "x.npy"), InputError) << length;
  RandomStream random(3);
  for (int trial = 0; trial < 500; ++trial) {
    std::string damaged = bytes;
    damaged[random.below(128)] = static_cast<char>(random.below(256));
    try {
      parse_npy(damaged, "x.npy");
    } catch (const InputError&) {
    }
  }
}

TEST_F(Data, DamagedNpzNeverCrashes) {
  const std::string bytes = read_file(golden("metrics.npz"));
  RandomStream random(3);
  for (int trial = 0; trial < 100; ++trial) {
    std::string damaged = bytes;
    for (int k = 0; k < 5; ++k) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    if (trial % 3 == 0) damaged.resize(random.below(damaged.size()));
    write_file(folder / "x.npz", damaged);
    try {
      read_npz(folder / "x.npz");
    } catch (const InputError&) {
    }
  }
}

TEST_F(Data, PhotosAreNormalisedAsDeclared) {
  write_image("a.png", 4, 6, {10, 20, 30});  // B, G, R
  Preprocessing p;
  p.range = 255;
  p.mean = {1, 2, 3};
  p.std = {1, 2, 3};
  const Photo rgb = load_photo(folder / "a.png", p);
  EXPECT_EQ(rgb.input.shape(), (Shape{1, 3, 4, 6}));
  EXPECT_FLOAT_EQ(rgb.input.data<float>()[0], 29);
  EXPECT_FLOAT_EQ(rgb.input.data<float>()[24], 9);
  EXPECT_FLOAT_EQ(rgb.input.data<float>()[48], 7.0F / 3);
  EXPECT_EQ(rgb.rgb[0], 30);
  p.channels = "bgr";
  EXPECT_FLOAT_EQ(load_photo(folder / "a.png", p).input.data<float>()[0], 9);
  EXPECT_EQ(p.black(), (std::vector<double>{-1, -1, -1}));
}

TEST_F(Data, PhotosAreResizedAndCroppedInTheCentre) {
  write_image("wide.png", 20, 60, {0, 0, 255});
  Preprocessing p;
  p.resize = 10;
  p.height = p.width = 8;
  const Photo photo = load_photo(folder / "wide.png", p);
  EXPECT_EQ(photo.input.shape(), (Shape{1, 3, 8, 8}));
  EXPECT_NEAR(photo.input.data<float>()[0], 1, 1e-6);
}

TEST_F(Data, AFolderSkipsWhatItCannotReadAndSaysWhy) {
  write_image("b.png", 8, 8, {1, 2, 3});
  write_image("a.jpg", 8, 8, {1, 2, 3});
  write_file(folder / "broken.png", "not an image");
  write_file(folder / "notes.txt", "no image either");
  Preprocessing p;
  const LoadedSet set = load_inputs(folder.path(), p, {-1, 3, 8, 8});
  ASSERT_EQ(set.size(), 2);
  EXPECT_EQ(set.items[0].name, "a.jpg");
  ASSERT_FALSE(set.skipped.empty());
  EXPECT_EQ(set.skipped[0].name, "broken.png");
  EXPECT_NE(set.items[0].hash, "");
}

TEST_F(Data, LinksThatLeadNowhereAreNamedAndPathsAreNot) {
  write_image("a.png", 8, 8, {1, 2, 3});
  std::filesystem::create_directories(folder / "folder.png");
  std::filesystem::create_symlink("nowhere.png", folder / "broken.png");
  std::filesystem::create_symlink("loop.png", folder / "loop.png");
  write_file(folder / "empty.jpg", "");
  const LoadedSet set = load_inputs(folder.path(), {}, {-1, 3, 8, 8});
  EXPECT_EQ(set.size(), 1);
  ASSERT_EQ(set.skipped.size(), 3U);
  EXPECT_EQ(set.skipped[0].name, "broken.png");
  EXPECT_EQ(set.skipped[1].reason, "is empty; give a PNG, JPEG or .npy file");
  EXPECT_EQ(set.skipped[2].name, "loop.png");
}

TEST_F(Data, LabelFilesAreTexts) {
  const auto labels = [&](const std::string& text) {
    write_file(folder / "labels.txt", text);
    return Labels::read(folder / "labels.txt");
  };
  EXPECT_EQ(labels("0000000012,cat\n3,dog\n").name(12), "cat");
  EXPECT_THROW(labels(""), InputError);
  EXPECT_THROW(labels(std::string("a\0b\n", 4)), InputError);
  EXPECT_THROW(labels(std::string(5000, 'a')), InputError);
  EXPECT_THROW(labels("1000001,a\n"), InputError);
  EXPECT_THROW(labels("99999999999999999999999,a\n"), InputError);
}

TEST_F(Data, ConfigurationsOfImpossibleNumbersAreRefused) {
  for (const char* line :
       {"resize = 1e300", "resize = nan", "resize = 0", "resize = 2.5", "resize = 2147483648",
        "size = [-1, 2]", "size = [1, 2, 3]", "size = 9223372036854775807", "size = 20001", "mean = nan",
        "mean = 1e300", "std = 0", "std = -1", "std = inf", "std = 1e-300", "range = nan",
        "channels = 'cmyk'", "mean = [1, 'a']"}) {
    write_file(folder / "m.toml", fmt::format("[input]\n{}\n", line));
    EXPECT_THROW(read_model_config(folder / "m.toml"), InputError) << line;
  }
}

TEST_F(Data, ASingleNumberIsNoInput) {
  write_file(folder / "x.npy", format_npy(Tensor::filled({}, 3)));
  EXPECT_THROW(load_inputs(folder / "x.npy", {}, {-1}), InputError);
}

TEST_F(Data, NothingToReadIsAnError) {
  EXPECT_THROW(load_inputs(folder.path(), {}, {-1, 3, 8, 8}), InputError);
  EXPECT_THROW(load_inputs(folder / "missing", {}, {-1, 3, 8, 8}), InputError);
  write_file(folder / "empty.png", "");
  EXPECT_THROW(load_photo(folder / "empty.png", {}), InputError);
}

TEST_F(Data, ArraysWithNaNAreRefused) {
  Tensor x = random_tensor({1, 3, 2, 2}, 1);
  x.data<float>()[5] = NAN;
  write_file(folder / "x.npy", format_npy(x));
  try {
    load_inputs(folder / "x.npy", {}, {-1, 3, 2, 2});
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("finite"), std::string::npos) << e.what();
  }
}

TEST_F(Data, MasksFollowTheirPhotos) {
  write_image("a.png", 8, 8, {1, 2, 3});
  std::filesystem::create_directories(folder / "masks");
  cv::Mat mask = cv::Mat::zeros(8, 8, CV_8U);
  mask.at<std::uint8_t>(2, 3) = 255;
  ASSERT_TRUE(cv::imwrite((folder / "masks/a.png").string(), mask));
  const InputSource source(folder / "a.png", {}, {-1, 3, 8, 8});
  InputSet set = InputStream(source).next(1);
  Masks::at(folder / "masks", source).read(set);
  EXPECT_EQ(set.masks.shape(), (Shape{1, 8, 8}));
  double sum = 0;
  for (float v : set.masks.data<float>()) sum += v;
  EXPECT_EQ(sum, 1);
  EXPECT_EQ(set.masks.data<float>()[19], 1);
  std::filesystem::remove(folder / "masks/a.png");
  EXPECT_THROW(Masks::at(folder / "masks", source).read(set), InputError);
}

TEST_F(Data, MasksOfNaNAreRefused) {
  write_image("a.png", 2, 2, {1, 2, 3});
  const InputSource source(folder / "a.png", {}, {-1, 3, 2, 2});
  for (const Shape& shape : {Shape{2, 2}, Shape{1, 2, 2}}) {
    write_file(folder / "m.npy", format_npy(Tensor::of(shape, std::array{1.0F, 0.0F, NAN, 0.0F})));
    write_file(folder / "masks/a.npy", read_file(folder / "m.npy"));
    InputSet set = InputStream(source).next(1);
    const auto path = shape.rank() == 2 ? folder / "masks" : folder / "m.npy";
    EXPECT_THROW(Masks::at(path, source).read(set), InputError);
  }
}

TEST_F(Data, MasksHaveThePhotosSizeOrTheNetworks) {
  write_image("a.png", 16, 8, {1, 2, 3});
  Preprocessing p;
  p.height = p.width = 4;
  const InputSource source(folder / "a.png", p, {-1, 3, 4, 4});
  InputSet set = InputStream(source).next(1);
  const auto mask = [&](int rows, int cols) {
    cv::Mat m = cv::Mat::zeros(rows, cols, CV_8U);
    m(cv::Rect(0, 0, cols / 2, rows)).setTo(255);  // the left half
    EXPECT_TRUE(cv::imwrite((folder / "m.png").string(), m));
  };
  const std::vector<float> left{1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0};
  const auto photo = set.items[0];
  mask(static_cast<int>(photo.height), static_cast<int>(photo.width));
  Masks::at(folder / "m.png", source).read(set);
  EXPECT_TRUE(std::ranges::equal(set.masks.data<float>(), left));
  mask(4, 4);
  Masks::at(folder / "m.png", source).read(set);
  EXPECT_TRUE(std::ranges::equal(set.masks.data<float>(), left));
  mask(9, 9);
  try {
    Masks::at(folder / "m.png", source).read(set);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("9x9"), std::string::npos) << e.what();
  }
}

TEST_F(Data, MasksAreFoundBesideTheImages) {
  const cv::Mat mask(8, 8, CV_8U, cv::Scalar(255));
  const auto found = [&] {
    const InputSource source(folder.path() / "images/", {}, {-1, 3, 8, 8});
    InputSet set = InputStream(source).next(9);
    EXPECT_EQ(set.size(), 2);  // masks are no photos
    const Masks masks = Masks::beside(source);
    masks.read(set);
    return masks && set.masks.shape() == Shape{2, 8, 8};
  };
  std::filesystem::create_directories(folder / "images/masks");
  std::filesystem::create_directories(folder / "masks");
  write_image("images/a.png", 8, 8, {1, 2, 3});
  write_image("images/b.png", 8, 8, {3, 2, 1});
  EXPECT_FALSE(found());
  ASSERT_TRUE(cv::imwrite((folder / "images/a.mask.png").string(), mask));
  EXPECT_THROW(found(), InputError);  // b has none
  ASSERT_TRUE(cv::imwrite((folder / "images/masks/b.png").string(), mask));
  EXPECT_TRUE(found());
  std::filesystem::remove(folder / "images/masks/b.png");
  write_file(folder / "masks/b.npy", format_npy(Tensor::filled({8, 8}, 1)));
  EXPECT_TRUE(found());
  write_file(folder / "x.npy", format_npy(Tensor::filled({2, 3, 4, 4}, 1)));
  const InputSource array(folder / "x.npy", {}, {-1, 3, 4, 4});
  EXPECT_FALSE(Masks::beside(array));
  write_file(folder / "x.mask.npy", format_npy(Tensor::filled({2, 4, 4}, 1)));
  EXPECT_TRUE(Masks::beside(array));
}

TEST_F(Data, ConfigurationsNameUnknownKeysWithTheirLine) {
  write_file(folder / "m.toml", "[input]\nsize = 64\nmaen = [1]\n");
  try {
    read_model_config(folder / "m.toml");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("m.toml:3"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("maen"), std::string::npos) << e.what();
  }
  for (const char* bad : {"[input]\nsize = \"big\"\n", "[input]\nstd = [0, 1, 1]\n", "[input]\nrange = 7\n",
                          "[input]\nchannels = \"cmyk\"\n", "[input\n", "[input]\nsize = -3\n"}) {
    write_file(folder / "m.toml", bad);
    EXPECT_THROW(read_model_config(folder / "m.toml"), InputError) << bad;
  }
}

TEST_F(Data, LabelsAreFoundByNameSynonymAndPart) {
  write_file(folder / "labels.txt", "0,tench, Tinca tinca\n1,goldfish\n2,great white shark\n");
  const Labels labels = Labels::read(folder / "labels.txt");
  EXPECT_EQ(labels.find("goldfish"), 1);
  EXPECT_EQ(labels.find("Tinca Tinca"), 0);
  EXPECT_EQ(labels.find("white shark"), 2);
  EXPECT_THROW(labels.find("unicorn"), UsageError);
  EXPECT_EQ(labels.name(1), "goldfish");
}

}  // namespace heatproof
