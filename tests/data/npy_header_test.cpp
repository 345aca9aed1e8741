// Headers of arrays, as NumPy and others write them.
#include "data/npy_header.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

std::string with_header(const std::string& dictionary, std::size_t data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    bytes += static_cast<char>(dictionary.size() >> (8 * i) & 255);
  return bytes + dictionary + std::string(data, '\x01');
}

NpyHeader parse(const std::string& bytes) { return parse_npy_header(bytes, bytes.size(), "x.npy"); }

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST(NpyHeader, IsReadInEveryWayThatNumPyWroteIt) {
  struct Case {
    std::string text;
    char kind;
    int bytes;
    bool swapped, fortran;
    Shape shape;
  };
  const std::vector<Case> cases{
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 'f', 4, false, false, {2, 3}},
      {"{\"shape\":(2,3),\"fortran_order\":True,\"descr\":\">f8\"}", 'f', 8, true, true, {2, 3}},
      {"  { 'shape' : ( 3 , ) , 'descr' : '|b1' , 'fortran_order' : False }  \n", 'b', 1, false, false, {3}},
      {"{'descr': '=i8', 'fortran_order': False, 'shape': (2L, 1L)}", 'i', 8, false, false, {2, 1}},
      {"{'descr': '|u1', 'fortran_order': False, 'shape': ()}", 'u', 1, false, false, {}},
      {"{'descr': '<f2', 'fortran_order': False, 'shape': (4), }", 'f', 2, false, false, {4}},
      {"{'descr': '?', 'fortran_order': False, 'shape': (4,), }", 'b', 1, false, false, {4}},
      {"{'descr': 'i2', 'fortran_order': False, 'shape': (4,), }", 'i', 2, false, false, {4}}};
  for (const Case& c : cases) {
    for (const int version : {1, 2, 3}) {
      const auto data = static_cast<std::size_t>(c.shape.elements() * c.bytes);
      const NpyHeader h = parse(with_header(c.text, data, version));
      EXPECT_EQ(std::tuple(h.kind, h.bytes, h.swapped, h.fortran, h.shape),
                std::tuple(c.kind, c.bytes, c.swapped, c.fortran, c.shape))
          << c.text;
    }
  }
}

TEST(NpyHeader, IsRefusedInOneShortLineWhereItIsNone) {
  const auto dictionary = [](const std::string& type, const std::string& shape) {
    return "{'descr': " + type + ", 'fortran_order': False, 'shape': " + shape + ", }";
  };
  std::string axes;
  for (int i = 0; i < 70; ++i) axes += "1,";
  const std::vector<std::pair<std::string, std::string>> cases{
      {dictionary("[('a', '<f4')]", "(1,)"), "records"},
      {dictionary("'<c8'", "(1,)"), "'<c8' is not supported"},
      {dictionary("'|O'", "(1,)"), "is not supported"},
      {dictionary("'<U12'", "(1,)"), "is not supported"},
      {dictionary("'<f16'", "(1,)"), "is not supported"},
      {dictionary("'<f3'", "(1,)"), "is not supported"},
      {dictionary("'<b4'", "(1,)"), "is not supported"},
      {dictionary("'" + std::string(60000, 'f') + "'", "(1,)"), "is not supported"},
      {dictionary("'<f4'", "(-1,)"), "negative"},
      {dictionary("'<f4'", "(0, 3)"), "no elements"},
      {dictionary("'<f4'", "(0, 1099511627776, 1099511627776)"), "too large"},
      {dictionary("'<f4'", "(99999999999999999999999,)"), "too large"},
      {dictionary("'<f4'", "(4294967296, 4294967296)"), "too large"},
      {dictionary("'<f4'", "(1099511627776,)"), "is truncated"},
      {dictionary("'<f4'", "(" + axes + ")"), "more than 64 axes"},
      {dictionary("'<f4'", "(1, (2, 3))"), "damaged"},
      {dictionary("'<f4'", "(1.5,)"), "damaged"},
      {dictionary("'<f4'", "3"), "damaged"},
      {dictionary("'<f4'", "(3"), "damaged"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "damaged"},
      {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "damaged"},
      {"{'descr': '<f4', 'shape': (1,)}", "damaged"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} more", "damaged"},
      {std::string(65000, '\''), "damaged"},
      {std::string(65000, '('), "damaged"},
      {"", "damaged"}};
  for (const auto& [text, why] : cases) {
    const std::string what = refusal(with_header(text, 4));
    EXPECT_NE(what.find(why), std::string::npos) << text.substr(0, 80) << ": " << what;
    EXPECT_LT(what.size(), 400U) << what;
  }
  EXPECT_NE(refusal(with_header(std::string(100'000, ' '), 4, 2)).find("100000 bytes"), std::string::npos);
  EXPECT_NE(refusal(with_header("{}", 4, 4)).find("version 4.0"), std::string::npos);
  EXPECT_NE(refusal("").find("is empty"), std::string::npos);
}

TEST(NpyHeader, TheFileMustHoldTheArrayAndNothingElse) {
  const std::string bytes = format_npy(random_tensor({4, 5}, 1));
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_THROW(parse_npy(std::string_view(bytes).substr(0, length), "x.npy"), InputError) << length;
  EXPECT_NE(refusal(bytes + "12").find("holds 2 bytes after"), std::string::npos);
}

TEST(NpyHeader, ValuesOfOtherTypesAreExactOrRefused) {
  const std::string u8 = "{'descr': '>u8', 'fortran_order': False, 'shape': (1,)}";
  std::string bytes = with_header(u8, 0) + std::string("\x00\x20\x00\x00\x00\x00\x00\x01", 8);
  EXPECT_EQ(parse_npy(bytes, "x").data<std::int64_t>()[0], (std::int64_t{1} << 53) + 1);
  bytes[bytes.size() - 8] = '\x80';
  EXPECT_THROW(parse_npy(bytes, "x"), InputError);
  const std::string b1 = "{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}";
  const Tensor truth = parse_npy(with_header(b1, 0) + std::string("\x00\x01\x07", 3), "x");
  const auto* values = static_cast<const std::uint8_t*>(truth.raw());
  EXPECT_EQ(std::vector<int>(values, values + 3), (std::vector<int>{0, 1, 1}));
}

TEST(NpyHeader, FilesAreCheckedBeforeTheyAreRead) {
  const TemporaryFolder folder;
  const auto path = folder / "x.npy";
  write_file(path, with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (1000000000000,)}", 4));
  EXPECT_THROW(NpyFile{path}, InputError);
  write_file(path, format_npy(random_tensor({4, 5}, 1)) + "x");
  EXPECT_THROW(NpyFile{path}, InputError);
  EXPECT_THROW(read_npy(path), InputError);
}

}  // namespace heatproof
