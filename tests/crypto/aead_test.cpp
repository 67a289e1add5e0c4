#include "lib/crypto/aead.hpp"

#include <gtest/gtest.h>

namespace longhaul::crypto {
namespace {

struct Sample {
  Aead aead;
  ByteVector key, nonce, header;
  std::string plain, sealed;  // hexadecimal
};

ByteVector hex(std::string_view digits) {
  return from_hex(digits).value();
}
Nonce nonce_of(const Sample& sample) {
  return Nonce(sample.nonce);
}
// The GCM specification's case 2, and the packet of RFC 9001 A.5.
std::vector<Sample> samples() {
  return {{Aead::kAes128Gcm,
           ByteVector(16),
           ByteVector(12),
           {},
           std::string(32, '0'),
           "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
          {Aead::kChaCha20Poly1305,
           hex("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8"),
           hex("e0459b3474bdd0e46d417eb0"), hex("4200bff4"), "01",
           "655e5cd55c41f69080575d7999c25a5bfb"}};
}

TEST(Aead, MatchesPublishedVectors) {
  for (const Sample& sample : samples()) {
    ByteVector packet = hex(sample.plain);
    packet.resize(packet.size() + kTagBytes);
    Sealer(sample.aead, sample.key).seal(nonce_of(sample), sample.header, packet);
    EXPECT_EQ(to_hex(packet), sample.sealed);
    const auto text = Opener(sample.aead, sample.key).open(nonce_of(sample), sample.header, packet);
    ASSERT_TRUE(text.has_value());
    EXPECT_EQ(to_hex(*text), sample.plain);
  }
}

TEST(Aead, EveryFlippedBitIsRefused) {
  for (const Sample& sample : samples()) {
    Opener opener(sample.aead, sample.key);
    const ByteVector sealed = hex(sample.sealed);
    for (std::size_t bit = 0; bit < 8 * sealed.size(); ++bit) {
      ByteVector packet = sealed;
      packet[bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_FALSE(opener.open(nonce_of(sample), sample.header, packet).has_value()) << bit;
    }
    ByteVector packet = sealed;
    EXPECT_FALSE(opener.open(nonce_of(sample), bytes_of("other"), packet).has_value());
    packet = sealed;  // and a forgery leaves the opener fit for use
    EXPECT_TRUE(opener.open(nonce_of(sample), sample.header, packet).has_value());
  }
}

TEST(Aead, ShorterThanATagIsRefused) {
  Opener opener(Aead::kAes128Gcm, ByteVector(16));
  const ByteVector nonce(kNonceBytes);
  for (std::size_t size = 0; size < kTagBytes; ++size) {
    ByteVector packet(size);
    EXPECT_FALSE(opener.open(Nonce(nonce), {}, packet).has_value());
  }
}

TEST(Aead, AnEmptyTextIsSealedToo) {
  const ByteVector nonce(kNonceBytes), key(16);
  ByteVector packet(kTagBytes);
  Sealer(Aead::kAes128Gcm, key).seal(Nonce(nonce), bytes_of("header"), packet);
  const auto text = Opener(Aead::kAes128Gcm, key).open(Nonce(nonce), bytes_of("header"), packet);
  ASSERT_TRUE(text.has_value());
  EXPECT_TRUE(text->empty());
}

}  // namespace
}  // namespace longhaul::crypto
