#include "compression/safetensors.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::compression {
namespace {

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape,
                  std::uint64_t begin, std::uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", name, dtype,
                     shape, begin, end);
}

Result<TensorLayout> parse(const std::string& json, std::uint64_t data_bytes) {
  return parse_safetensors(bytes_of(json), 8 + json.size() + data_bytes);
}

std::string why(const Result<TensorLayout>& result) {
  return result.has_value() ? "nothing wrong" : result.error().why();
}

TEST(Safetensors, FindsTheTensorsInTheirOrder) {
  const std::string json = "{\"__metadata__\": {\"format\":\"pt\"}, " +
                           entry("norm", "F32", "4", 64, 80) + ",\n" +
                           entry("embed.weight", "BF16", "4, 8", 0, 64) + "}   ";
  const auto layout = parse(json, 80);
  ASSERT_TRUE(layout) << why(layout);
  ASSERT_EQ(layout->tensors.size(), 2U);
  EXPECT_EQ(layout->data_begin, 8 + json.size());
  EXPECT_EQ(layout->tensors[0].name, "embed.weight");
  EXPECT_EQ(layout->tensors[0].dtype, "BF16");
  EXPECT_EQ(layout->tensors[0].plane_bytes, 2);
  EXPECT_EQ(layout->tensors[0].begin, layout->data_begin);
  EXPECT_EQ(layout->tensors[1].name, "norm");
  EXPECT_EQ(layout->tensors[1].begin, layout->data_begin + 64);
  EXPECT_EQ(layout->tensors[1].bytes, 16U);
}

TEST(Safetensors, TakesEmptyFilesAndTensorsWithoutElements) {
  EXPECT_TRUE(parse("{}", 0));
  EXPECT_TRUE(
      parse("{" + entry("a", "F32", "0, 7", 0, 0) + "," + entry("b", "I8", "", 0, 1) + "}", 1));
}

TEST(Safetensors, KeepsEscapesInNamesAsTheyStand) {
  const auto layout = parse("{" + entry(R"(a\"\u00e9\\)", "U8", "1", 0, 1) + "}", 1);
  ASSERT_TRUE(layout) << why(layout);
  EXPECT_EQ(layout->tensors[0].name, R"(a\"\u00e9\\)");
}

TEST(Safetensors, RefusesWhatDoesNotCoverTheFileExactly) {
  const auto two = [](std::uint64_t b0, std::uint64_t e0, std::uint64_t b1, std::uint64_t e1) {
    return "{" + entry("a", "U8", std::to_string(e0 - b0), b0, e0) + "," +
           entry("b", "U8", std::to_string(e1 - b1), b1, e1) + "}";
  };
  EXPECT_EQ(why(parse(two(0, 10, 10, 20), 20)), "nothing wrong");
  EXPECT_EQ(why(parse(two(0, 10, 9, 20), 20)), "tensors overlap or leave a gap");
  EXPECT_EQ(why(parse(two(0, 10, 11, 20), 20)), "tensors overlap or leave a gap");
  EXPECT_EQ(why(parse(two(0, 10, 0, 10), 10)), "tensors overlap or leave a gap");
  EXPECT_EQ(why(parse(two(1, 10, 10, 20), 20)), "tensors overlap or leave a gap");
  EXPECT_EQ(why(parse(two(0, 10, 10, 20), 21)), "bytes behind the last tensor");
  EXPECT_EQ(why(parse(two(0, 10, 10, 20), 19)), "a tensor lies outside the file");
}

TEST(Safetensors, RefusesAbsurdShapesAndOffsets) {
  const auto one = [](std::string_view shape, std::uint64_t begin, std::uint64_t end) {
    return parse("{" + entry("a", "F32", shape, begin, end) + "}", 8);
  };
  EXPECT_EQ(why(one("2", 0, 8)), "nothing wrong");
  EXPECT_EQ(why(one("3", 0, 8)), "a tensor's shape and length disagree");
  EXPECT_EQ(why(one("4294967296,4294967296", 0, 8)), "absurd shape");
  EXPECT_EQ(why(one("4611686018427387906", 0, 8)), "a tensor's shape and length disagree");
  EXPECT_EQ(why(one("2", 8, 0)), "a tensor lies outside the file");
  EXPECT_EQ(why(one("2", 0, ~std::uint64_t{0})), "a tensor lies outside the file");
  EXPECT_EQ(why(parse("{" + entry("a", "F4", "3", 0, 2) + "}", 2)),
            "a tensor's shape and length disagree");
  std::string deep = "1";
  for (std::size_t i = 0; i < kMaxTensorRank; ++i) deep += ",1";
  EXPECT_EQ(why(one(deep, 0, 4)), "too many dimensions");
}

TEST(Safetensors, RefusesForeignKeysDtypesAndDoubles) {
  EXPECT_EQ(why(parse("{" + entry("a", "F33", "2", 0, 8) + "}", 8)), "unknown dtype");
  EXPECT_EQ(why(parse(R"({"a":{"dtype":"U8","dtype":"U8"}})", 1)), "a key unknown or twice");
  EXPECT_EQ(why(parse(R"({"a":{"colour":1}})", 1)), "a key unknown or twice");
  EXPECT_EQ(why(parse(R"({"a":{"dtype":"U8","shape":[1]}})", 1)),
            "a tensor lacks dtype, shape or data_offsets");
  EXPECT_EQ(why(parse(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", 1)),
            "more than two offsets");
  EXPECT_EQ(
      why(parse("{" + entry("a", "U8", "1", 0, 1) + "," + entry("a", "U8", "1", 1, 2) + "}", 2)),
      "two tensors of one name");
}

TEST(Safetensors, RefusesWhatIsNotItsJson) {
  for (const std::string_view json :
       {"", "[]", "{", "{}x", "{\"a\"}", "{\"a\":1}", "{,}", "{\"a\":{},}", "{\"a\n\":{}}",
        R"({"a\q":{}})", R"({"\u12g4":{}})", R"({"__metadata__":{"k":{}}})",
        R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})",
        R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})"})
    EXPECT_FALSE(parse(std::string(json), 1)) << json;
}

TEST(Safetensors, SurvivesEveryTruncation) {
  const std::string json =
      "{" + entry(R"(a\u00e9)", "BF16", "4,8", 0, 64) + "," + entry("b", "F32", "4", 64, 80) + "}";
  for (std::size_t size = 0; size < json.size(); ++size)
    EXPECT_FALSE(parse(json.substr(0, size), 80)) << size;
}

TEST(Safetensors, BoundsTheHeaderBeforeItIsRead) {
  ByteVector first(8);
  const auto said = [&](std::uint64_t header, std::uint64_t file) {
    store_le(first, header);
    return safetensors_header_bytes(first, file);
  };
  EXPECT_EQ(said(100, 1000).value(), 100U);
  EXPECT_EQ(said(992, 1000).value(), 992U);
  EXPECT_FALSE(said(993, 1000));
  EXPECT_FALSE(said(0, 1000));
  EXPECT_FALSE(said(~std::uint64_t{0}, ~std::uint64_t{0}));
  EXPECT_EQ(said(kMaxTensorHeaderBytes + 1, 1U << 30).error().kind(), Kind::kLimit);
  EXPECT_FALSE(safetensors_header_bytes(Bytes(first).first(7), 1000));
}

// These never change: chunks in stores are named by them.
TEST(TensorChunks, StartAtTensorsAndGatherSmallOnes) {
  TensorLayout layout;
  layout.data_begin = 300;
  const std::pair<std::uint64_t, std::uint8_t> sizes[] = {
      {600'000, 2}, {4096, 2}, {4096, 2}, {4096, 4}, {20'000, 4}, {0, 4}, {100, 4}};
  std::uint64_t at = layout.data_begin;
  for (const auto& [bytes, width] : sizes) {
    layout.tensors.push_back({"", "", width, at, bytes});
    at += bytes;
  }
  layout.file_bytes = at;
  EXPECT_EQ(tensor_chunks(layout), (std::vector<TensorChunk>{{0, 300, 1},
                                                             {300, 262144, 2},
                                                             {262444, 262144, 2},
                                                             {524588, 75712, 2},
                                                             {600300, 8192, 2},
                                                             {608492, 4096, 4},
                                                             {612588, 20000, 4},
                                                             {632588, 100, 4}}));
}

TEST(TensorChunks, CoverTheFileWithoutGap) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    TensorLayout layout;
    layout.data_begin = rng.between(10, 600'000);
    std::uint64_t at = layout.data_begin;
    for (std::uint64_t i = rng.below(30); i > 0; --i) {
      const std::uint64_t bytes = rng.chance(0.5) ? rng.below(20'000) : rng.below(900'000);
      layout.tensors.push_back({"", "", static_cast<std::uint8_t>(1U << rng.below(3)), at, bytes});
      at += bytes;
    }
    layout.file_bytes = at;
    std::uint64_t end = 0;
    for (const TensorChunk& chunk : tensor_chunks(layout)) {
      ASSERT_EQ(chunk.begin, end);
      ASSERT_GT(chunk.bytes, 0U);
      ASSERT_LE(chunk.bytes, kMaxChunkBytes);
      end += chunk.bytes;
    }
    ASSERT_EQ(end, layout.file_bytes);
  }
}

}  // namespace
}  // namespace longhaul::compression
