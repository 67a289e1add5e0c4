#include "lib/crypto/identity.hpp"

#include <gtest/gtest.h>

namespace longhaul::crypto {
namespace {

std::array<std::byte, 32> entropy(unsigned first) {
  std::array<std::byte, 32> bytes{};
  bytes[0] = static_cast<std::byte>(first);
  return bytes;
}

TEST(Identity, SameEntropyGivesSameKeyAndCertificate) {
  const Identity a = Identity::from_entropy(entropy(1)), b = Identity::from_entropy(entropy(1));
  EXPECT_EQ(a.pin(), b.pin());
  EXPECT_EQ(to_hex(a.certificate()), to_hex(b.certificate()));
  EXPECT_NE(a.pin(), Identity::from_entropy(entropy(2)).pin());
}

TEST(Identity, PinIsTheHashOfThePublicKeyInfo) {
  // Public key of RFC 8032's first test, behind the fixed header of an Ed25519 key (RFC 8410).
  const auto secret = from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  const auto info = from_hex(
      "302a300506032b6570032100"
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const auto identity = Identity::from_entropy(std::span<const std::byte, 32>(*secret));
  EXPECT_EQ(identity.pin(), sha256(*info));
}

TEST(Identity, GeneratedOnesDiffer) {
  EXPECT_NE(Identity::generate().pin(), Identity::generate().pin());
}

TEST(Identity, ComesBackFromItsPem) {
  const Identity identity = Identity::from_entropy(entropy(7));
  const auto back = Identity::from_pem(identity.pem());
  ASSERT_TRUE(back.has_value()) << back.error().message();
  EXPECT_EQ(back->pin(), identity.pin());
  EXPECT_EQ(to_hex(back->certificate()), to_hex(identity.certificate()));
}

TEST(Identity, RefusesWhatIsNoEd25519Key) {
  const std::string pem = Identity::from_entropy(entropy(7)).pem();
  for (std::size_t size = 0; size + 1 < pem.size(); ++size)
    EXPECT_FALSE(Identity::from_pem(pem.substr(0, size)).has_value()) << size;
  const auto p256 = Identity::from_pem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgAAAAAAAAAAAAAAAA\n"
      "AAAAAAAAAAAAAAAAAAAAAAAAAAGhRANCAARrF9Hy4SxCR/i85uVjpEDydwN9gS3r\n"
      "M6D0oTlF2JjClk/jQuL+Gn+bjufrSnwPnhYrzjNXazFezsu2QGg3v1H1\n"
      "-----END PRIVATE KEY-----\n");
  EXPECT_EQ(p256.error().why(), "not an Ed25519 key");
  EXPECT_EQ(Identity::from_pem(std::string(100'000, 'x')).error().kind(), Kind::kMalformed);
}

}  // namespace
}  // namespace longhaul::crypto
