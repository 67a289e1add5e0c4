#include "lib/wire/codec.hpp"

#include <gmock/gmock.h>

#include "tests/wire/damage.hpp"
#include "tests/wire/sample.hpp"

namespace longhaul::wire {
namespace {

template <class T>
Result<T> decode_hex(std::string_view hex) {
  return decode<T>(from_hex(hex).value());
}
template <class T>
void expect_refused(std::string_view hex, Fault reason) {
  const auto got = decode_hex<T>(hex);
  ASSERT_FALSE(got.has_value()) << hex;
  EXPECT_EQ(got.error().why(), why(reason)) << hex;
}

struct Number {
  std::uint64_t n = 0;
  template <class F>
  static void fields(F& f) {
    f(&Number::n, "n");
  }
};
template <class T>
struct Only {  // a message of one field
  T value{};
  template <class F>
  static void fields(F& f) {
    f(&Only::value, "value");
  }
};

TEST(Codec, EveryKindOfFieldComesBack) {
  const Sample sample = full_sample();
  const auto back = decode<Sample>(encode(sample));
  ASSERT_TRUE(back.has_value()) << back.error().message();
  EXPECT_TRUE(*back == sample);
}

TEST(Codec, ASampleSurvivesDamage) {
  expect_survives_damage(full_sample());
  expect_survives_damage(Sample{});
}

TEST(Codec, VarintsAreMinimal) {
  EXPECT_EQ(to_hex(encode(Number{0})), "00");
  EXPECT_EQ(to_hex(encode(Number{127})), "7f");
  EXPECT_EQ(to_hex(encode(Number{128})), "8001");
  EXPECT_EQ(to_hex(encode(Number{~0ULL})), "ffffffffffffffffff01");
  expect_refused<Number>("8000", Fault::kNotMinimal);
  expect_refused<Number>("ff8000", Fault::kNotMinimal);
  expect_refused<Number>("ffffffffffffffffff02", Fault::kOutOfRange);
  expect_refused<Number>("ffffffffffffffffffff01", Fault::kOutOfRange);
  expect_refused<Number>("80", Fault::kTruncated);
  expect_refused<Number>("0000", Fault::kTrailing);
  expect_refused<Only<std::uint16_t>>("808004", Fault::kOutOfRange);
}

TEST(Codec, NegativeNumbersAreZigzag) {
  EXPECT_EQ(to_hex(encode(Only<std::int64_t>{-1})), "01");
  EXPECT_EQ(to_hex(encode(Only<std::int64_t>{1})), "02");
  const auto least = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(decode<Only<std::int64_t>>(encode(Only<std::int64_t>{least}))->value, least);
}

TEST(Codec, ClosedListsAreClosed) {
  expect_refused<Only<bool>>("02", Fault::kUnknownValue);
  expect_refused<Only<Colour>>("02", Fault::kUnknownValue);
  EXPECT_EQ(decode_hex<Only<Colour>>("07")->value, Colour::kBlue);
  expect_refused<Only<std::variant<bool, Colour>>>("0200", Fault::kUnknownValue);
  expect_refused<Only<std::optional<bool>>>("0200", Fault::kUnknownValue);
}

TEST(Codec, LengthsAreCheckedAgainstTheirMaximum) {
  using Name = Only<Text<3>>;
  EXPECT_EQ(decode_hex<Name>("00")->value, "");
  EXPECT_EQ(decode_hex<Name>("0161")->value, "a");
  EXPECT_EQ(decode_hex<Name>("026162")->value, "ab");
  EXPECT_EQ(decode_hex<Name>("03616263")->value, "abc");
  expect_refused<Name>("0461626364", Fault::kOverLimit);
  expect_refused<Name>("ffffffffffffffffff01", Fault::kOverLimit);
  EXPECT_EQ(decode_hex<Name>("0461626364").error().kind(), Kind::kLimit);
}

TEST(Codec, ACountNeedsItsItemsToBeThere) {
  using Many = Only<List<crypto::Digest, 1'000'000>>;
  expect_refused<Many>("c0843d", Fault::kTruncated);  // a million digests in no bytes
  using Numbers = Only<List<std::uint64_t, 4>>;
  expect_refused<Numbers>("020a", Fault::kTruncated);
  EXPECT_THAT(decode_hex<Numbers>("020a0b")->value, testing::ElementsAre(10, 11));
}

TEST(Codec, MapsAreSortedAndWithoutTwins) {
  using Names = Only<Map<std::uint8_t, std::uint8_t, 4>>;
  EXPECT_EQ(decode_hex<Names>("0201090209")->value.size(), 2U);
  expect_refused<Names>("0202090109", Fault::kNotSorted);
  expect_refused<Names>("0201090109", Fault::kNotSorted);
}

TEST(Codec, BitmapsHaveNoBitsBeyondTheirEnd) {
  using Wanted = Only<Bitmap<16>>;
  EXPECT_EQ(decode_hex<Wanted>("0305")->value.count(), 2U);
  expect_refused<Wanted>("0308", Fault::kPadding);
  expect_refused<Wanted>("09ff", Fault::kTruncated);
  expect_refused<Wanted>("11ffff01", Fault::kOverLimit);
}

TEST(Codec, PayloadsOfASliceAreNotCopied) {
  using Data = Only<Payload<100>>;
  const Slice frame = Slice::copy_of(encode(Data{Slice::copy_of("twelve bytes")}));
  const auto data = decode<Data>(frame);
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(text_of(data->value.bytes()), "twelve bytes");
  EXPECT_EQ(data->value.data(), frame.data() + 1);
}

TEST(Codec, EncodesIntoAPooledBuffer) {
  BufferPool pool;
  const Slice pooled = encode(full_sample(), pool);
  EXPECT_EQ(to_hex(pooled.bytes()), to_hex(encode(full_sample())));
  EXPECT_EQ(pool.lent(), 1U);
}

TEST(Codec, AnErrorNamesMessageAndField) {
  const auto got = decode_hex<Inner>("0109");
  EXPECT_EQ(got.error().message(), "decode Inner.name: longer than allowed");
}

TEST(Codec, DescribesItsFields) {
  EXPECT_EQ(describe<Inner>(),
            "| field | type | bytes | meaning |\n|---|---|---|---|\n"
            "| `port` | varint u16 | 1-3 |  |\n"
            "| `name` | text, at most 8 bytes | 1-9 | what people call it |\n");
}

TEST(CodecDeathTest, EncodingMoreThanTheMaximumIsABug) {
  EXPECT_DEATH(static_cast<void>(encode(Only<Text<3>>{"abcd"})), "bug");
}

TEST(Bits, CountsAndWalks) {
  Bits bits(19, true);
  EXPECT_EQ(bits.count(), 19U);
  bits.set(0, false);
  bits.set(9, false);
  EXPECT_EQ(bits.count(), 17U);
  EXPECT_EQ(bits.next_set(0), 1U);
  EXPECT_EQ(bits.next_set(9), 10U);
  Bits none(19);
  EXPECT_EQ(none.next_set(3), 19U);
  none.set(18);
  EXPECT_EQ(none.next_set(3), 18U);
  EXPECT_EQ(none.next_set(19), 19U);
}

}  // namespace
}  // namespace longhaul::wire
