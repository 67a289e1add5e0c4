#include "compression/codec.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "compression/dictionary.hpp"
#include "tests/compression/samples.hpp"

namespace longhaul::compression {
namespace {

Dictionary dictionary_of(std::uint64_t seed, std::uint8_t digest_byte) {
  std::vector<ByteVector> files;
  std::vector<Bytes> samples;
  for (std::uint64_t i = 0; i < 200; ++i) files.push_back(lines(1000, seed + i));
  for (const ByteVector& file : files) samples.emplace_back(file);
  DictionaryDigest digest;
  digest.fill(static_cast<std::byte>(digest_byte));
  return Dictionary::make(train_dictionary(samples, 4096).value(), digest).value();
}

const Dictionary& shared_dictionary() {
  static const Dictionary dictionary = dictionary_of(1000, 0x11);
  return dictionary;
}

std::vector<Codec> all_codecs() {
  std::vector<Codec> codecs;
  for (std::uint8_t value = 0; value < kCodecCount; ++value)
    codecs.push_back(codec_of(value).value());
  return codecs;
}

ByteVector encoded(Codec codec, Bytes in, const Reference& reference) {
  ByteVector out(encoded_bound(codec, in.size()));
  out.resize(Encoder().encode(codec, in, reference, out).value());
  return out;
}

ByteVector near(ByteVector bytes, std::uint64_t seed) {  // as the next checkpoint is to the last
  Rng rng(seed, "near");
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    if (rng.chance(0.2)) bytes[i] ^= static_cast<std::byte>(1U << rng.below(3));
  return bytes;
}

RC_GTEST_PROP(Codec, GivesBackWhatWentInWithinItsBound, (std::uint64_t seed)) {
  const auto size = *rc::gen::inRange<std::size_t>(0, 40'000);
  const auto kind = *rc::gen::inRange(0, 4);
  const ByteVector in = kind == 0   ? random_bytes(size, seed)
                        : kind == 1 ? lines(size, seed)
                        : kind == 2 ? bf16_weights(size / 2, seed)
                                    : ByteVector(size);
  const ByteVector base = near(in, seed);
  const Reference reference{base, &shared_dictionary()};
  static Encoder encoder;  // reused, as in production: nothing of one block may reach the next
  static Decoder decoder;
  for (const Codec codec : all_codecs()) {
    ByteVector body(encoded_bound(codec, in.size()));
    const auto length = encoder.encode(codec, in, reference, body);
    RC_ASSERT(length.has_value());
    ByteVector out(in.size());
    RC_ASSERT(decoder.decode(codec, Bytes(body).first(*length), reference, out).has_value());
    RC_ASSERT(out == in);
  }
}

TEST(Codec, RefusesEveryTruncationAndExtension) {
  const ByteVector in = lines(2001, 1);
  const ByteVector base = near(in, 2);
  const Reference reference{base, &shared_dictionary()};
  Decoder decoder;
  for (const Codec codec : all_codecs()) {
    ByteVector body = encoded(codec, in, reference);
    ByteVector out(in.size());
    for (std::size_t size = 0; size < body.size(); ++size)
      EXPECT_FALSE(decoder.decode(codec, Bytes(body).first(size), reference, out))
          << name_of(codec) << " cut to " << size;
    body.push_back(std::byte{0});
    EXPECT_FALSE(decoder.decode(codec, body, reference, out)) << name_of(codec);
  }
}

TEST(Codec, SurvivesEveryFlippedBit) {
  const ByteVector in = lines(701, 1);
  const ByteVector base = near(in, 2);
  const Reference reference{base, &shared_dictionary()};
  Decoder decoder;
  for (const Codec codec : all_codecs()) {
    const ByteVector body = encoded(codec, in, reference);
    for (std::size_t bit = 0; bit < body.size() * 8; ++bit) {
      ByteVector flipped = body;  // its own allocation, so that the sanitizer sees a read behind it
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      ByteVector out(in.size());
      const auto result = decoder.decode(codec, flipped, reference, out);
      if (!result) {
        EXPECT_NE(result.error().why(), "") << name_of(codec);
      }
    }
    ByteVector out(in.size());
    EXPECT_TRUE(decoder.decode(codec, body, reference, out)) << name_of(codec) << " afterwards";
    EXPECT_EQ(out, in);
  }
}

TEST(Codec, RefusesAPromiseOtherThanTheLength) {
  const ByteVector in = bf16_weights(2000, 3);
  const Reference reference{{}, &shared_dictionary()};
  for (const Codec codec : all_codecs()) {
    if (needs_base(codec)) continue;
    const ByteVector body = encoded(codec, in, reference);
    for (const std::size_t promised : {0U, 1U, 3999U, 4001U, 8000U}) {
      ByteVector out(promised);
      EXPECT_FALSE(Decoder().decode(codec, body, reference, out)) << name_of(codec);
    }
  }
}

TEST(Codec, RefusesAPromiseAboveTheLargestBlock) {
  ByteVector out(kMaxBlockBytes + 1);
  for (const Codec codec : all_codecs()) {
    const auto result = Decoder().decode(codec, {}, {}, out);
    ASSERT_FALSE(result) << name_of(codec);
    EXPECT_EQ(result.error().kind(), Kind::kLimit);
  }
}

TEST(Codec, RefusesAPlaneLongerThanThePromiseAllows) {
  ByteVector body(4 + 4 + 100);
  store_le(body, std::uint32_t{0xffffffff});
  ByteVector out(64);
  EXPECT_EQ(Decoder().decode(Codec::kPlanes2Zstd, body, {}, out).error().why(),
            "a plane is longer than it may be");
}

TEST(Codec, RefusesTheWrongDictionaryAndNone) {
  const ByteVector in = lines(900, 7);
  const Dictionary other = dictionary_of(5000, 0x22);
  const ByteVector body = encoded(Codec::kZstdDictionary, in, {{}, &shared_dictionary()});
  ByteVector out(in.size());
  const auto wrong = Decoder().decode(Codec::kZstdDictionary, body, {{}, &other}, out);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind(), Kind::kUsage);
  EXPECT_FALSE(Decoder().decode(Codec::kZstdDictionary, body, {}, out));
  // A plain frame is not taken for one that wants no dictionary.
  EXPECT_FALSE(Decoder().decode(Codec::kZstdDictionary, encoded(Codec::kZstd, in, {}),
                                {{}, &shared_dictionary()}, out));
}

TEST(Codec, RefusesABaseOfAnotherLength) {
  const ByteVector in = bf16_weights(100, 1);
  const ByteVector body = encoded(Codec::kXorPlanes2Zstd, in, {in, nullptr});
  ByteVector out(in.size());
  EXPECT_EQ(Decoder()
                .decode(Codec::kXorPlanes2Zstd, body, {Bytes(in).first(50), nullptr}, out)
                .error()
                .kind(),
            Kind::kUsage);
}

TEST(Codec, ShrinksWhatEachRungIsFor) {
  const auto ratio = [](Codec codec, Bytes in, const Reference& reference) {
    return static_cast<double>(in.size()) /
           static_cast<double>(encoded(codec, in, reference).size());
  };
  const ByteVector weights = bf16_weights(128 << 10, 1);
  const ByteVector next = near(weights, 2);
  const ByteVector text = lines(300, 9);
  EXPECT_GT(ratio(Codec::kPlanes2Zstd, weights, {}), 1.45);
  EXPECT_LT(ratio(Codec::kZstd, weights, {}), 1.35);
  EXPECT_GT(ratio(Codec::kXorPlanes2Zstd, next, {weights, nullptr}), 5);
  EXPECT_GT(ratio(Codec::kZstdDictionary, text, {{}, &shared_dictionary()}),
            1.25 * ratio(Codec::kZstd, text, {}));
}

// Bytes written by the first release; every later one must read them. The layout:
// docs/compression.md.
TEST(Codec, ReadsWhatTheFirstReleaseWrote) {
  struct Golden {
    Codec codec;
    std::string_view body;
  };
  ByteVector in;
  for (int i = 0; i < 10; ++i) append(in, bf16_weights(12, 11));
  in.push_back(std::byte{0x7e});  // behind the last whole element
  const ByteVector base = near(in, 12);
  const Golden goldens[] = {
      {Codec::kZstd,
       "28b52ffd20f1050100c8c03c053d953ca4bca1bbac3c153db2ba5dbcdc3ca4bc1e3c7e010054979a"
       "63"},
      {Codec::kPlanes2Zstd,
       "1c00000028b52ffd20789d000060800a2a4943582a65bbb8493c0100e96949021c00000028b52ffd"
       "20789d000060797a797977797a75787979780100e96949027e"},
      {Codec::kPlanes4Zstd,
       "1500000028b52ffd203c65000030802b422bba480100cb598a1500000028b52ffd203c6500003079"
       "79777a78790100cb598a1500000028b52ffd203c650000300a485964b93d0100cb598a1500000028"
       "b52ffd203c650000307a79797579780100cb598a7e"},
      {Codec::kPlanes8Zstd,
       "1200000028b52ffd201e4d0000188143ba0100866e081200000028b52ffd201e4d00001879777801"
       "00866e081200000028b52ffd201e4d0000180a59b90100866e081200000028b52ffd201e4d000018"
       "7a79790100866e081200000028b52ffd201e4d0000182a2a480100866e081200000028b52ffd201e"
       "4d000018797a790100866e081200000028b52ffd201e4d00001848643d0100866e081200000028b5"
       "2ffd201e4d0000187975780100866e087e"},
      {Codec::kXorPlanes2Zstd,
       "4d00000028b52ffd2078250200d40200040000080008000808020002000208000000000200000400"
       "0408000002020000000000080000000800000002090060306a09170c1e240c728005977dc1c00428"
       "021100000028b52ffd2078450000100000010033055800"}};
  for (const Golden& golden : goldens) {
    ByteVector out(in.size());
    ASSERT_TRUE(Decoder().decode(golden.codec, from_hex(golden.body).value(), {base, nullptr}, out))
        << name_of(golden.codec);
    EXPECT_EQ(out, in) << name_of(golden.codec);
  }
}

TEST(Codec, KnowsItsListOnly) {
  EXPECT_FALSE(codec_of(kCodecCount).has_value());
  EXPECT_FALSE(codec_of(255).has_value());
  EXPECT_EQ(planes_codec(4), Codec::kPlanes4Zstd);
  EXPECT_EQ(planes_codec(1), Codec::kZstd);
  EXPECT_EQ(xor_codec(8), Codec::kXorPlanes8Zstd);
  EXPECT_EQ(plane_width(Codec::kXorPlanes4Zstd), 4U);
}

}  // namespace
}  // namespace longhaul::compression
