// Inputs are read a few at a time, with the same result as at once.
#include "data/input_stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <opencv2/imgcodecs.hpp>
#include <thread>

#include "base/files.h"
#include "base/threads.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

class Inputs : public ::testing::TestWithParam<int> {
 protected:
  TemporaryFolder folder;
  const std::vector<std::int64_t> expected{-1, 3, 8, 8};

  void SetUp() override { set_threads(GetParam()); }
  void TearDown() override { set_threads(0); }

  /// Photos 00.png, 01.png, ... of one colour each.
  void write_photos(int count) {
    for (int k = 0; k < count; ++k)
      ASSERT_TRUE(cv::imwrite(photo(k).string(), cv::Mat(8, 8, CV_8UC3, cv::Scalar(k, 2 * k, 3 * k))));
  }
  std::filesystem::path photo(int k) const { return folder / fmt::format("{:02}.png", k); }

  static std::vector<InputSet> all_of(InputStream& stream, std::int64_t most) {
    std::vector<InputSet> sets;
    for (InputSet set = stream.next(most); set.size() > 0; set = stream.next(most))
      sets.push_back(std::move(set));
    return sets;
  }
};

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_P(Inputs, AreTheSameInPartsAsAtOnce) {
  write_photos(21);
  write_file(photo(4), "not an image");
  write_file(photo(17), "");
  const LoadedSet whole = load_inputs(folder.path(), {}, expected);
  ASSERT_EQ(whole.size(), 19);
  for (const std::int64_t most : {1, 2, 5, 16, 40}) {
    const InputSource source(folder.path(), {}, expected);
    InputStream stream(source);
    std::int64_t done = 0;
    for (const InputSet& set : all_of(stream, most)) {
      EXPECT_EQ(set.size(), std::min(most, 19 - done));  // unreadable files do not make a part smaller
      expect_equal(set.inputs, whole.inputs.rows(done, done + set.size()));
      for (std::int64_t i = 0; i < set.size(); ++i, ++done) {
        const InputItem& item = set.items[static_cast<std::size_t>(i)];
        const InputItem& same = whole.items[static_cast<std::size_t>(done)];
        EXPECT_EQ(item.name, same.name);
        EXPECT_EQ(item.hash, same.hash);
        EXPECT_EQ(item.index, done);
        EXPECT_EQ(set.rgb[static_cast<std::size_t>(i)], whole.rgb[static_cast<std::size_t>(done)]);
      }
    }
    EXPECT_EQ(done, 19);
    ASSERT_EQ(stream.skipped().size(), 2U);
    EXPECT_EQ(stream.skipped()[0].name, "04.png");
    EXPECT_EQ(stream.skipped()[1].name, "17.png");
    EXPECT_EQ(source.count(), 19);
    EXPECT_EQ(source.places(), 21);
  }
}

TEST_P(Inputs, OfArraysAreReadRowByRow) {
  const Tensor x = random_tensor({23, 3, 8, 8}, 1);
  write_file(folder / "x.npy", format_npy(x));
  const InputSource source(folder / "x.npy", {}, expected);
  InputStream stream(source);
  std::vector<Tensor> parts;
  for (const InputSet& set : all_of(stream, 4)) parts.push_back(set.inputs);
  expect_equal(concatenate(parts), x);
  EXPECT_EQ(InputSource(folder / "x.npy", {}, expected, 5).places(), 5);
}

TEST_P(Inputs, OfTheSecondSizeAreSkipped) {
  write_photos(3);
  ASSERT_TRUE(cv::imwrite(photo(1).string(), cv::Mat(9, 8, CV_8UC3, cv::Scalar(1))));
  const LoadedSet set = load_inputs(folder.path(), {}, {-1, 3, -1, -1});
  EXPECT_EQ(set.size(), 2);
  ASSERT_EQ(set.skipped.size(), 1U);
  EXPECT_EQ(set.skipped[0].reason, "another size than the others; use --size");
  EXPECT_NE(error_of([&] {
              load_inputs(folder.path(), {}, {-1, 3, 7, 7});
            }).find("--size 7"),
            std::string::npos);
}

TEST_P(Inputs, AreReadAheadOnlySoFar) {
  constexpr int kFiles = 40;
  write_photos(kFiles);
  const InputSource source(folder.path(), {}, expected);
  InputStream stream(source);
  const std::int64_t ahead = stream.ahead();
  ASSERT_LT(ahead + 3, kFiles);
  EXPECT_EQ(stream.next(3).size(), 3);
  // What is neither handed out nor read ahead is read from the disk as it is by then.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  for (int k = 3 + static_cast<int>(ahead); k < kFiles; ++k) write_file(photo(k), "damaged");
  EXPECT_EQ(stream.next(kFiles).size(), ahead);
  EXPECT_EQ(static_cast<std::int64_t>(stream.skipped().size()), kFiles - 3 - ahead);
}

TEST_P(Inputs, ThatAreNoNumbersAreAnErrorInTheirPlace) {
  Tensor x = random_tensor({30, 3, 8, 8}, 1);
  x.data<float>()[20 * 192 + 7] = NAN;
  x.data<float>()[25 * 192] = INFINITY;
  write_file(folder / "x.npy", format_npy(x));
  const InputSource source(folder / "x.npy", {}, expected);
  InputStream stream(source);
  EXPECT_EQ(stream.next(20).size(), 20);
  const std::string what = error_of([&] { stream.next(10); });
  EXPECT_NE(what.find("flat position 3847 is not finite"), std::string::npos) << what;
  InputStream unread(source);  // an error that nobody asks for ends nothing
}

TEST_P(Inputs, ThatCannotBeReadAtAllAreOneError) {
  write_file(photo(0), "not an image");
  write_file(photo(1), "neither");
  const std::string what = error_of([&] { load_inputs(folder.path(), {}, expected); });
  EXPECT_NE(what.find("none of 2 images can be read"), std::string::npos) << what;
}

TEST_P(Inputs, AreReadAgainInAnyOrderUnlessTheyChanged) {
  write_photos(6);
  const InputSource source(folder.path(), {}, expected);
  const LoadedSet whole = load_inputs(folder.path(), {}, expected);
  const std::vector<InputItem> chosen{whole.items[5], whole.items[0], whole.items[3]};
  const InputSet again = InputStream(source, chosen).next(9);
  ASSERT_EQ(again.size(), 3);
  expect_equal(again.inputs.rows(0, 1), whole.inputs.rows(5, 6));
  expect_equal(again.inputs.rows(2, 3), whole.inputs.rows(3, 4));
  EXPECT_EQ(again.items[0].index, 5);
  EXPECT_EQ(InputStream(source, {}).next(9).size(), 0);
  const InputShelf shelf(source, whole.items);
  expect_equal(shelf.read(2), whole.inputs.rows(2, 3));
  std::filesystem::copy_file(photo(1), photo(3), std::filesystem::copy_options::overwrite_existing);
  InputStream changed(source, chosen);
  const std::string what = error_of([&] { changed.next(3); });
  EXPECT_NE(what.find("03.png changed"), std::string::npos) << what;
  EXPECT_NE(error_of([&] { shelf.read(3); }).find("03.png changed"), std::string::npos);
  std::filesystem::remove(photo(0));
  EXPECT_NE(error_of([&] { InputStream(source, chosen).next(3); }).find("no such file"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Threads, Inputs, ::testing::Values(1, 2, 5));

TEST(Arrays, AreWrittenInParts) {
  const TemporaryFolder folder;
  const Tensor x = random_tensor({7, 2, 3}, 1);
  NpyWriter writer(folder / "out/x.npy", 9);
  writer.append(x.rows(0, 4));
  writer.append(x.rows(4, 7));
  EXPECT_FALSE(std::filesystem::exists(folder / "out/x.npy"));
  writer.finish();
  EXPECT_EQ(read_file(folder / "out/x.npy"), format_npy(x));
}

TEST(Arrays, WrittenInPartsKeepTheirHeaderInPlace) {
  const TemporaryFolder folder;
  // The header of so many rows is 64 bytes longer than that of 1.
  const Tensor x = random_tensor({1, 1, 1, 1}, 1);
  for (const std::int64_t most : {std::int64_t{1}, std::int64_t{1000000000}}) {
    NpyWriter writer(folder / "x.npy", most);
    writer.append(x);
    writer.finish();
    expect_equal(read_npy(folder / "x.npy"), x);
  }
}

TEST(Arrays, AreReadInParts) {
  const TemporaryFolder folder;
  const Tensor x = integers({5, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  write_file(folder / "x.npy", format_npy(x));
  const NpyFile file(folder / "x.npy");
  EXPECT_EQ(file.shape(), x.shape());
  EXPECT_EQ(file.dtype(), DType::i64);
  expect_equal(file.rows(1, 4), x.rows(1, 4));
  // Columns first: 1 3 5 7 9, 2 4 6 8 10.
  std::string bytes = format_npy(integers({2, 5}, {1, 3, 5, 7, 9, 2, 4, 6, 8, 10}));
  bytes.replace(bytes.find("False"), 5, "True ");
  bytes.replace(bytes.find("(2, 5)"), 6, "(5, 2)");
  write_file(folder / "f.npy", bytes);
  expect_equal(NpyFile(folder / "f.npy").rows(1, 4), x.rows(1, 4));
  std::filesystem::resize_file(folder / "x.npy", 200);
  EXPECT_THROW(NpyFile(folder / "x.npy"), InputError);
  EXPECT_THROW(file.rows(3, 5), InputError);  // it was longer when it was opened
}

}  // namespace heatproof
