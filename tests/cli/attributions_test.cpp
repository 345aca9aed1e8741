// Arrays of other programs, which save numbers as any type.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "data/npy.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;
using nlohmann::json;

namespace {

template <typename T>
std::string npy(const std::string& descr, const std::string& shape, const std::vector<T>& values) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ') += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  for (T v : values) bytes.append(reinterpret_cast<const char*>(&v), sizeof(T));
  return bytes;
}

template <typename T>
std::vector<T> pattern(std::size_t n) {
  std::vector<T> values;
  for (std::size_t k = 0; k < n; ++k) values.push_back(static_cast<T>(k % 7 == 0 ? 1 : 0));
  return values;
}

class ForeignArrays : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::string model = golden("mlp.onnx").string();  // [N, 3, 4, 4], 4 classes
  std::string input = (folder / "x.npy").string();

  void SetUp() override { write_file(input, format_npy(read_npz(golden("mlp.npz")).at("input"))); }
  std::string written(const std::string& bytes) {
    write_file(folder / "a.npy", bytes);
    return (folder / "a.npy").string();
  }
  Outcome evaluated(const std::string& bytes) {
    return heatproof("evaluate " + model + " " + input + " --metric complexity --json --attributions " +
                     written(bytes));
  }
};

}  // namespace

TEST_F(ForeignArrays, AttributionsMayBeAnyNumbers) {
  const std::string shape = "3, 3, 4, 4";
  const std::size_t n = 144;
  const Outcome right = evaluated(npy("<f4", shape, pattern<float>(n)));
  ASSERT_EQ(right.code, 0) << right.err;
  std::vector<std::uint16_t> halves;
  for (float v : pattern<float>(n)) halves.push_back(v > 0 ? 0x3c00 : 0);
  const std::map<std::string, std::string> same = {{"int8", npy("|i1", shape, pattern<std::int8_t>(n))},
                                                   {"uint8", npy("|u1", shape, pattern<std::uint8_t>(n))},
                                                   {"int32", npy("<i4", shape, pattern<std::int32_t>(n))},
                                                   {"uint16", npy("<u2", shape, pattern<std::uint16_t>(n))},
                                                   {"int64", npy("<i8", shape, pattern<std::int64_t>(n))},
                                                   {"uint64", npy("<u8", shape, pattern<std::uint64_t>(n))},
                                                   {"float64", npy("<f8", shape, pattern<double>(n))},
                                                   {"float16", npy("<f2", shape, halves)},
                                                   {"bool", npy("|b1", shape, pattern<std::uint8_t>(n))}};
  for (const auto& [name, bytes] : same) {
    const Outcome o = evaluated(bytes);
    ASSERT_EQ(o.code, 0) << name << ": " << o.err;
    EXPECT_EQ(json::parse(o.out)["scores"], json::parse(right.out)["scores"]) << name;
  }
  // Heatmaps, too.
  EXPECT_EQ(evaluated(npy("<i4", "3, 4, 4", pattern<std::int32_t>(48))).code, 0);
}

TEST_F(ForeignArrays, AttributionsOfAnotherShapeAreRefusedForTheirShape) {
  const std::map<std::string, std::size_t> shapes = {
      {"3, 3, 4, 5", 180}, {"2, 3, 4, 4", 96}, {"3, 2, 4, 4", 96}, {"3, 48", 144}};
  for (const auto& [shape, count] : shapes) {
    const Outcome o = evaluated(npy("<i4", shape, pattern<std::int32_t>(count)));
    EXPECT_EQ(o.code, 3) << shape;
    EXPECT_NE(o.err.find("the inputs' shape 3x3x4x4, or heatmaps 3x4x4 is needed"), std::string::npos)
        << o.err;
  }
  const Outcome text = evaluated(npy("<U1", "3, 3, 4, 4", pattern<std::int32_t>(144)));
  EXPECT_EQ(text.code, 3);
  EXPECT_NE(text.err.find("element type"), std::string::npos) << text.err;
}

TEST_F(ForeignArrays, TargetsMayBeWholeNumbersOfAnyType) {
  const auto explained = [&](const std::string& bytes) {
    return heatproof("explain " + model + " " + input + " --recipe gradient --json --target " +
                     written(bytes));
  };
  for (const std::string& bytes :
       {npy<double>("<f8", "3,", {2, 0, 1}), npy<std::int32_t>("<i4", "3,", {2, 0, 1}),
        npy<std::uint8_t>("|u1", "3, 1", {2, 0, 1})}) {
    const Outcome o = explained(bytes);
    ASSERT_EQ(o.code, 0) << o.err;
    EXPECT_EQ(json::parse(o.out)["targets"], (json{2, 0, 1}));
  }
  const Outcome half = explained(npy<double>("<f8", "3,", {2, 0.5, 1}));
  EXPECT_EQ(half.code, 3);
  EXPECT_NE(half.err.find("0.5 is no index"), std::string::npos) << half.err;
  EXPECT_EQ(explained(npy<double>("<f8", "3,", {2, std::nan(""), 1})).code, 3);
  EXPECT_EQ(explained(npy<std::uint8_t>("|b1", "3,", {1, 0, 1})).code, 3);
  const Outcome few = explained(npy<double>("<f8", "2,", {2, 1}));
  EXPECT_EQ(few.code, 3);
  EXPECT_NE(few.err.find("holds 2 classes, 3 are needed"), std::string::npos) << few.err;
}

TEST_F(ForeignArrays, InputsByNameMayBeIntegers) {
  std::vector<std::int32_t> whole(144);
  std::vector<float> real(144);
  for (std::size_t k = 0; k < whole.size(); ++k)
    real[k] = static_cast<float>(whole[k] = static_cast<int>(k % 5));
  const auto ran = [&](const std::string& bytes, const char* out) {
    const Outcome o = heatproof("run " + model + " --input input=" + written(bytes) + " --output-dir " +
                                (folder / out).string());
    EXPECT_EQ(o.code, 0) << o.err;
    return read_npy(folder / out / "logits.npy");
  };
  expect_equal(ran(npy("<i4", "3, 3, 4, 4", whole), "a"), ran(npy("<f4", "3, 3, 4, 4", real), "b"));
}

}  // namespace heatproof
