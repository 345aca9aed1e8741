// Zips of arrays, whole and damaged, written byte by byte.
#include <gtest/gtest.h>
#include <zlib.h>

#include "base/files.h"
#include "data/npy.h"
#include "heatproof/error.h"
#include "support/files.h"
#include "support/operators.h"

namespace heatproof {

using namespace testing;

namespace {

std::string deflated(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(compressBound(bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A zip; what a test changes stands in its entries.
class Zip {
 public:
  struct Entry {
    std::string name, packed;
    std::uint32_t method = 0, flags = 0, check = 0, size = 0;
    std::uint32_t offset = 0;  // of the local header
  };

  static Entry stored(const std::string& name, const std::string& bytes) {
    return {name, bytes, 0, 0, crc(bytes), static_cast<std::uint32_t>(bytes.size())};
  }
  static Entry packed(const std::string& name, const std::string& bytes) {
    Entry e = stored(name, bytes);
    e.packed = deflated(bytes), e.method = 8;
    return e;
  }

  Zip& add(Entry e) {
    e.offset = static_cast<std::uint32_t>(bytes_.size());
    bytes_ += "PK\x03\x04" + head(e) + e.name + e.packed;
    entries_.push_back(e);
    return *this;
  }
  /// Another name for the data of the last one.
  Zip& again(const std::string& name) {
    entries_.push_back(entries_.back());
    entries_.back().name = name;
    return *this;
  }
  std::string bytes() const {
    std::string directory;
    for (const Entry& e : entries_)
      directory += "PK\x01\x02" + number(20, 2) + head(e) + number(0, 2) + number(0, 2) + number(0, 2) +
                   number(0, 4) + number(e.offset, 4) + e.name;
    const std::string count = number(static_cast<std::uint32_t>(entries_.size()), 2);
    return bytes_ + directory + "PK\x05\x06" + number(0, 4) + count + count +
           number(static_cast<std::uint32_t>(directory.size()), 4) +
           number(static_cast<std::uint32_t>(bytes_.size()), 4) + number(0, 2);
  }

 private:
  static std::uint32_t crc(const std::string& bytes) {
    return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  }
  static std::string number(std::uint32_t value, int size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
    return bytes;
  }
  static std::string head(const Entry& e) {
    return number(20, 2) + number(e.flags, 2) + number(e.method, 2) + number(0, 4) + number(e.check, 4) +
           number(static_cast<std::uint32_t>(e.packed.size()), 4) + number(e.size, 4) +
           number(static_cast<std::uint32_t>(e.name.size()), 2) + number(0, 2);
  }

  std::string bytes_;
  std::vector<Entry> entries_;
};

class Npz : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  const Tensor x = random_tensor({4, 5}, 1);
  const std::string npy = format_npy(x);

  std::map<std::string, Tensor> read(const std::string& bytes) {
    write_file(folder / "x.npz", bytes);
    return read_npz(folder / "x.npz");
  }
  std::string refusal(const std::string& bytes) {
    try {
      read(bytes);
    } catch (const InputError& e) {
      EXPECT_LT(std::string(e.what()).size(), 400U);
      return e.what();
    }
    return "";
  }
  std::string refusal(const Zip::Entry& e) { return refusal(Zip().add(e).bytes()); }
};

}  // namespace

TEST_F(Npz, StoredAndDeflatedArraysAreRead) {
  const auto arrays = read(Zip().add(Zip::stored("a.npy", npy)).add(Zip::packed("b.npy", npy)).bytes());
  ASSERT_EQ(arrays.size(), 2U);
  expect_equal(arrays.at("a"), x);
  expect_equal(arrays.at("b"), x);
}

TEST_F(Npz, WhatIsCutOffIsRefused) {
  const std::string bytes = Zip().add(Zip::stored("a.npy", npy)).add(Zip::packed("b.npy", npy)).bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
}

TEST_F(Npz, AFlippedByteOfTheDataIsNoticed) {
  for (const bool packed : {false, true}) {
    const Zip::Entry e = packed ? Zip::packed("a.npy", npy) : Zip::stored("a.npy", npy);
    const std::string bytes = Zip().add(e).bytes();
    const std::size_t data = 30 + e.name.size();
    for (std::size_t i = data; i < data + e.packed.size(); i += 7) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 4);
      EXPECT_NE(refusal(damaged), "") << i;
    }
  }
}

TEST_F(Npz, EntriesThatLieAreRefused) {
  Zip::Entry e = Zip::packed("a.npy", npy);
  e.size -= 1;
  EXPECT_NE(refusal(e).find("cannot be unpacked"), std::string::npos);
  e.size += 2;
  EXPECT_NE(refusal(e).find("cannot be unpacked"), std::string::npos);
  e.size = 4'000'000'000;
  EXPECT_NE(refusal(e).find("impossible size"), std::string::npos);
  e = Zip::stored("a.npy", npy);
  e.size += 1;
  EXPECT_NE(refusal(e).find("impossible size"), std::string::npos);
  e = Zip::stored("a.npy", npy);
  e.flags = 1;
  EXPECT_NE(refusal(e).find("encrypted"), std::string::npos);
  e = Zip::stored("a.npy", npy);
  e.method = 14;
  EXPECT_NE(refusal(e).find("method (14)"), std::string::npos);
  EXPECT_NE(refusal(Zip::stored(std::string(60000, 'n') + ".npy", "no array")).find("..."),
            std::string::npos);
  const std::string twice = Zip().add(Zip::stored("a.npy", npy)).again("a.npy").bytes();
  EXPECT_NE(refusal(twice).find("two arrays named 'a'"), std::string::npos);
}

TEST_F(Npz, DirectoriesThatPointAnywhereAreRefused) {
  const std::string bytes = Zip().add(Zip::stored("a.npy", npy)).bytes();
  const std::size_t end = bytes.rfind("PK\x05\x06");
  for (std::size_t at = end - 46 - 5; at < bytes.size(); ++at) {  // the directory and its end
    for (const int value : {0, 1, 127, 128, 255}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      try {
        read(damaged);
      } catch (const InputError&) {
      }
    }
  }
}

TEST_F(Npz, WhatWouldFillTheMemoryIsRefusedBefore) {
  const std::string text = "{'descr': '|u1', 'fortran_order': False, 'shape': (210000000,)}";
  std::string bomb = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size()) + '\0' + text;
  bomb.resize(bomb.size() + 210'000'000);  // as int64 it would take 1.7 GB
  EXPECT_NE(refusal(Zip::packed("a.npy", bomb)).find("of memory"), std::string::npos);
  // The same data under many names.
  Zip many;
  const std::string zeros = format_npy(Tensor::zeros(DType::f32, {20'000'000}));
  many.add(Zip::packed("0.npy", zeros));
  for (int i = 1; i < 1000; ++i) many.again(std::to_string(i) + ".npy");
  EXPECT_NE(refusal(many.bytes()).find("of memory"), std::string::npos);
}

}  // namespace heatproof
