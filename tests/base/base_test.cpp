#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/spec.h"
#include "base/text.h"
#include "base/threads.h"
#include "heatproof/error.h"
#include "heatproof/tensor.h"
#include "support/files.h"

namespace heatproof {

using namespace testing;

TEST(Shape, CountsAndRefusesWhatIsTooLarge) {
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_THROW((Shape{1 << 30, 1 << 30, 1 << 30}).elements(), Error);
  EXPECT_THROW((Shape{-1, 2}).elements(), Error);
  EXPECT_EQ(broadcast({2, 1, 3}, {4, 1}), (Shape{2, 4, 3}));
  EXPECT_THROW(broadcast({2}, {3}), Error);
}

TEST(Tensor, SharesAndClones) {
  Tensor a = Tensor::zeros(DType::f32, {2, 2});
  const Tensor same = a;
  const Tensor copy = a.clone();
  a.data<float>()[0] = 5;
  EXPECT_EQ(same.data<float>()[0], 5);
  EXPECT_EQ(copy.data<float>()[0], 0);
  EXPECT_EQ(a.rows(1, 2).shape(), (Shape{1, 2}));
  EXPECT_THROW(a.data<std::int64_t>(), Error);
  EXPECT_THROW(a.reshaped({3}), Error);
}

TEST(RandomStream, EqualArgumentsGiveEqualStreamsAndOthersDoNot) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed : {0, 1}) {
    for (std::uint64_t index : {0, 1}) {
      for (const char* name : {"a", "b"}) {
        const std::uint64_t first = RandomStream(seed, {name}, index).bits();
        EXPECT_EQ(first, RandomStream(seed, {name}, index).bits());
        EXPECT_TRUE(seen.insert(first).second);
      }
    }
  }
}

TEST(RandomStream, HasTheMomentsItShould) {
  RandomStream random(1);
  double sum = 0;
  double squares = 0;
  constexpr int kN = 200000;
  for (int i = 0; i < kN; ++i) {
    const double v = random.normal();
    sum += v;
    squares += v * v;
  }
  EXPECT_NEAR(sum / kN, 0, 0.01);
  EXPECT_NEAR(squares / kN, 1, 0.02);
  std::vector<int> counts(7);
  for (int i = 0; i < 70000; ++i) ++counts[random.below(7)];
  for (int c : counts) EXPECT_NEAR(c, 10000, 500);
}

TEST(Spec, ReadsNamesParametersAndGrids) {
  const Spec s = parse_spec("name:a=1,b=two");
  EXPECT_EQ(s.name, "name");
  EXPECT_EQ(s.parameters[1], (std::pair<std::string, std::string>("b", "two")));
  EXPECT_EQ(expand_grid("n:a=1/2,b=3/4/5").size(), 6U);
  for (const char* bad :
       {"", ":", "n:", "n:a", "n:a=", "n:=1", "n:a=1,", "n:a=1,,b=2", "n m", "n:a=1/", "n:a=/1"})
    EXPECT_THROW(expand_grid(bad), UsageError) << bad;
  EXPECT_THROW(parse_spec("n:a=1/2"), UsageError);
}

TEST(Spec, GridsThatExplodeAreRefused) {
  std::string text = "n:";
  for (int i = 0; i < 12; ++i)
    text += std::string(i > 0 ? "," : "") + "k" + std::to_string(i) + "=0/1/2/3/4/5/6/7/8/9";
  EXPECT_THROW(expand_grid(text), UsageError);
}

TEST(Spec, NearestWord) {
  const std::vector<std::string> words{"gradient", "random"};
  EXPECT_EQ(nearest("gradent", words), "gradient");
  EXPECT_EQ(nearest("zzzzzzzz", words), "");
}

TEST(Sha256, OfTheStandard) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(WriteFile, IsWholeOrAbsent) {
  const TemporaryFolder folder;
  const auto path = folder / "a/b.txt";
  write_file(path, "first");
  EXPECT_EQ(read_file(path), "first");
  write_file(path, "second");
  EXPECT_EQ(read_file(path), "second");
  EXPECT_THROW(write_file("/dev/full", "x"), Error);
  EXPECT_FALSE(std::filesystem::is_regular_file("/dev/full"));
  EXPECT_THROW(write_file("/proc/nothing/here", "x"), Error);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "a")) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1);
  EXPECT_THROW(read_file(folder / "missing"), InputError);
}

TEST(FreeMemory, IsWhatTheSystemSays) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::size_t total = 0;
  file >> key >> total;  // MemTotal comes first
  EXPECT_GT(free_memory(), std::size_t{1} << 20);
  EXPECT_LE(free_memory(), total * 1024);
}

TEST(ParallelFor, VisitsEverythingOnce) {
  std::vector<int> visits(1000, 0);
  parallel_for(1000, 7, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
  });
  for (int v : visits) ASSERT_EQ(v, 1);
}

TEST(Text, IsAbbreviatedInTheMiddleAndBetweenCharacters) {
  EXPECT_EQ(abbreviated("short"), "short");
  EXPECT_EQ(abbreviated(std::string(60, 'a')), std::string(60, 'a'));
  EXPECT_EQ(abbreviated(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(abbreviated("0123456789abcdef", 11), "0123...cdef");
  EXPECT_LE(abbreviated(std::string(1'000'000, 'a')).size(), 60U);
  const std::string umlauts = "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4";  // of two bytes each
  EXPECT_EQ(abbreviated(umlauts, 10), "\u00e4\u00e4...\u00e4");
  EXPECT_LE(abbreviated(std::string(1000, '\x80'), 20).size(), 20U);  // no UTF-8
}

}  // namespace heatproof
