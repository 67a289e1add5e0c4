#include "lib/crypto/kdf.hpp"

#include <gtest/gtest.h>

namespace longhaul::crypto {
namespace {

ByteVector hex(std::string_view digits) {
  return from_hex(digits).value();
}
ByteVector repeated(unsigned value, std::size_t times) {
  return ByteVector(times, static_cast<std::byte>(value));
}

TEST(Kdf, HmacMatchesRfc4231) {
  EXPECT_EQ(hmac_sha256(repeated(0x0b, 20), {bytes_of("Hi There")}).hex(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(
      hmac_sha256(bytes_of("Jefe"), {bytes_of("what do ya want "), bytes_of("for nothing?")}).hex(),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac_sha256(repeated(0xaa, 131),
                        {bytes_of("Test Using Larger Than Block-Size Key - Hash Key First")})
                .hex(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Kdf, HkdfMatchesRfc5869) {
  const Digest prk = hkdf_extract(hex("000102030405060708090a0b0c"), repeated(0x0b, 22));
  EXPECT_EQ(prk.hex(), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  EXPECT_EQ(to_hex(hkdf_expand(prk, hex("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

TEST(Kdf, LabelsMatchRfc9001) {
  const Digest initial =
      hkdf_extract(hex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), hex("8394c8f03e515708"));
  const auto client = hkdf_expand_label(initial, "client in", 32);
  EXPECT_EQ(to_hex(client), "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
  const Digest secret{std::span<const std::byte, 32>(client)};
  EXPECT_EQ(to_hex(hkdf_expand_label(secret, "quic key", 16)), "1f369613dd76d5467730efcbe3b1a22d");
  EXPECT_EQ(to_hex(hkdf_expand_label(secret, "quic iv", 12)), "fa044b2f42a3fd3b46fb255c");
}

TEST(Kdf, ComparesEqualOnlyWhatIs) {
  EXPECT_TRUE(constant_time_equal(bytes_of("same"), bytes_of("same")));
  EXPECT_FALSE(constant_time_equal(bytes_of("same"), bytes_of("sane")));
  EXPECT_FALSE(constant_time_equal(bytes_of("same"), bytes_of("same ")));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

}  // namespace
}  // namespace longhaul::crypto
