#include "lib/datagram/protection.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace longhaul::datagram {
namespace {

using crypto::Aead;

ByteVector hex(std::string_view digits) {
  return from_hex(digits).value();
}
Secret secret_of(std::string_view digits) {
  return Secret::from_hex(digits).value();
}
template <class Container>
std::string hex_of(const Container& bytes) {
  return to_hex(Bytes(bytes));
}

// RFC 9001 A.1: the client's Initial keys.
TEST(Protection, Rfc9001KeysOfAppendixA1) {
  const Secret client =
      secret_of("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
  EXPECT_EQ(hex_of(packet_key(Aead::kAes128Gcm, client)), "1f369613dd76d5467730efcbe3b1a22d");
  EXPECT_EQ(hex_of(packet_iv(client)), "fa044b2f42a3fd3b46fb255c");
  EXPECT_EQ(hex_of(header_key(Aead::kAes128Gcm, client)), "9f50449e04a0e810283a1e9933adedd2");
}

template <std::size_t Size>
std::array<std::byte, Size> fixed(std::string_view digits) {
  std::array<std::byte, Size> out{};
  const ByteVector bytes = hex(digits);
  std::copy_n(bytes.begin(), Size, out.begin());
  return out;
}

// A.2 and A.3: the masks of the client's and the server's Initial.
TEST(Protection, Rfc9001MasksOfAppendixA2AndA3) {
  crypto::HeaderMask client(Aead::kAes128Gcm, hex("9f50449e04a0e810283a1e9933adedd2"));
  EXPECT_EQ(hex_of(client.of(fixed<16>("d1b1c98dd7689fb8ec11d242b123dc9b"))), "437b9aec36");
  crypto::HeaderMask server(Aead::kAes128Gcm, hex("c206b8d9b9f0f37644430b490eeaa314"));
  EXPECT_EQ(hex_of(server.of(fixed<16>("2cd0991cd25b0aac406a5816b6394100"))), "2ec0d8356a");
}

// A.5: a short header packet with ChaCha20-Poly1305, built from the parts that Protection is made
// of (its own packets have a connection id of eight bytes, the RFC's has none), and the next key.
TEST(Protection, Rfc9001ShortHeaderPacketOfAppendixA5) {
  constexpr Aead kAead = Aead::kChaCha20Poly1305;
  constexpr PacketNumber kNumber = 654360564;
  const Secret secret =
      secret_of("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
  EXPECT_EQ(hex_of(packet_key(kAead, secret)),
            "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8");
  EXPECT_EQ(hex_of(packet_iv(secret)), "e0459b3474bdd0e44a41c144");
  EXPECT_EQ(hex_of(header_key(kAead, secret)),
            "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4");
  EXPECT_EQ(next_secret(secret).hex(),
            "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9");
  PhaseKeys<crypto::Sealer> keys(kAead, secret);
  const auto nonce = packet_nonce(keys.iv, kNumber);
  EXPECT_EQ(hex_of(nonce), "e0459b3474bdd0e46d417eb0");
  ByteVector packet = hex("4200bff401");
  packet.resize(packet.size() + crypto::kTagBytes);
  keys.cipher.seal(nonce, Bytes(packet).first(4), MutableBytes(packet).subspan(4));
  crypto::HeaderMask masks(kAead, header_key(kAead, secret));
  const auto mask = masks.of(Bytes(packet).subspan<5, 16>());
  EXPECT_EQ(hex_of(mask), "aefefe7d03");
  packet[0] ^= mask[0] & std::byte{0x1f};
  for (std::size_t i = 0; i < 3; ++i) packet[1 + i] ^= mask[1 + i];
  EXPECT_EQ(to_hex(packet), "4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
  EXPECT_EQ(expand_packet_number(kNumber - 1, 0x00bff4, 3), kNumber);
}

struct Pair {
  explicit Pair(Aead aead, std::uint64_t limit = 0)
      : keys(make(aead)),
        limits(make_limits(aead, limit)),
        a(keys, limits),
        b(mirror(keys), limits) {}
  static EpochKeys make(Aead aead) {
    EpochKeys keys;
    keys.aead = aead;
    keys.send_secret = crypto::sha256("a to b");
    keys.receive_secret = crypto::sha256("b to a");
    keys.send_id.fill(std::byte{1});
    keys.receive_id.fill(std::byte{2});
    return keys;
  }
  static EpochKeys mirror(EpochKeys keys) {
    std::swap(keys.send_secret, keys.receive_secret);
    std::swap(keys.send_id, keys.receive_id);
    return keys;
  }
  static KeyLimits make_limits(Aead aead, std::uint64_t limit) {
    KeyLimits limits = limits_of(aead);
    if (limit > 0) limits = {limit, 2 * limit, limit};
    return limits;
  }
  static ByteVector seal(Protection& from, Time now, std::string_view text) {
    const std::size_t header = from.header_bytes();
    ByteVector packet(header + text.size() + crypto::kTagBytes);
    std::copy_n(bytes_of(text).begin(), text.size(), packet.begin() + static_cast<long>(header));
    from.seal(now, packet);
    return packet;
  }
  static std::optional<std::string> open(Protection& at, Time now, Bytes packet, Refused* why) {
    ByteVector out(packet.size());
    const auto opened = at.open(now, packet, out, why);
    if (!opened.has_value()) return std::nullopt;
    return std::string(text_of(Bytes(out).first(opened->frames_bytes)));
  }
  const EpochKeys keys;
  const KeyLimits limits;
  Protection a, b;
  Refused why{};
  Time now{};
};

class EachAead : public testing::TestWithParam<Aead> {};
INSTANTIATE_TEST_SUITE_P(Protection, EachAead,
                         testing::Values(Aead::kAes128Gcm, Aead::kChaCha20Poly1305));

TEST_P(EachAead, WhatIsSealedOpensOnce) {
  Pair pair(GetParam());
  for (int i = 0; i < 300; ++i) {
    const ByteVector packet = Pair::seal(pair.a, pair.now, "frames");
    EXPECT_EQ(Pair::open(pair.b, pair.now, packet, &pair.why), "frames");
    EXPECT_EQ(Pair::open(pair.b, pair.now, packet, &pair.why), std::nullopt);
    EXPECT_EQ(pair.why, Refused::kReplayed);
  }
  EXPECT_EQ(pair.b.forged(), 0U);
}

TEST_P(EachAead, EveryFlippedBitAndEveryTruncationIsRefused) {
  Pair pair(GetParam());
  const ByteVector packet = Pair::seal(pair.a, pair.now, "some frames");
  for (std::size_t bit = 0; bit < 8 * packet.size(); ++bit) {
    ByteVector bad = packet;
    bad[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_EQ(Pair::open(pair.b, pair.now, bad, &pair.why), std::nullopt) << bit;
  }
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_EQ(Pair::open(pair.b, pair.now, Bytes(packet).first(size), &pair.why), std::nullopt);
  }
  EXPECT_EQ(Pair::open(pair.b, pair.now, packet, &pair.why), "some frames");
}

TEST_P(EachAead, PacketsOfAnotherSessionOrDirectionAreRefused) {
  Pair pair(GetParam());
  EpochKeys other = pair.keys;
  other.send_secret = crypto::sha256("another session");
  Protection stranger(other, pair.limits);
  const ByteVector forged = Pair::seal(stranger, pair.now, "same connection id");
  EXPECT_EQ(Pair::open(pair.b, pair.now, forged, &pair.why), std::nullopt);
  EXPECT_EQ(pair.why, Refused::kForged);
  const ByteVector own = Pair::seal(pair.b, pair.now, "to a");
  EXPECT_EQ(Pair::open(pair.b, pair.now, own, &pair.why), std::nullopt);
  EXPECT_EQ(pair.why, Refused::kNotOurs);
}

// Limits of 64: keys change all the time, both ends follow, and nothing is lost by it.
TEST_P(EachAead, KeysAreUpdatedAfterTheirPackets) {
  Pair pair(GetParam(), 64);
  for (int i = 0; i < 1000; ++i) {
    pair.now += 100ms;
    const ByteVector there = Pair::seal(pair.a, pair.now, "there");
    ASSERT_EQ(Pair::open(pair.b, pair.now, there, &pair.why), "there") << i;
    pair.a.on_acked(pair.a.next_number() - 1);
    const ByteVector back = Pair::seal(pair.b, pair.now, "back");
    ASSERT_EQ(Pair::open(pair.a, pair.now, back, &pair.why), "back") << i;
    pair.b.on_acked(pair.b.next_number() - 1);
  }
  EXPECT_EQ(pair.a.updates(), pair.b.updates());
  EXPECT_GE(pair.a.updates(), 10U);
}

TEST_P(EachAead, PacketsOfThePhaseBeforeStillOpenForAWhile) {
  Pair pair(GetParam(), 64);
  const auto exchange = [&] {
    ASSERT_TRUE(Pair::open(pair.b, pair.now, Pair::seal(pair.a, pair.now, "text"), &pair.why));
    pair.a.on_acked(pair.a.next_number() - 1);
  };
  for (int i = 0; i < 62; ++i) exchange();
  const ByteVector late = Pair::seal(pair.a, pair.now, "late"),
                   too_late = Pair::seal(pair.a, pair.now, "too late");
  exchange();
  ASSERT_EQ(pair.a.updates(), 1U);
  ASSERT_EQ(pair.b.updates(), 1U);
  EXPECT_EQ(Pair::open(pair.b, pair.now, late, &pair.why), "late");
  pair.now += 4s;
  EXPECT_EQ(Pair::open(pair.b, pair.now, too_late, &pair.why), std::nullopt);
}

// Our update is lost with everything else of a long outage: the peer goes on in the old phase.
TEST_P(EachAead, AnUpdateThatThePeerHasNotSeenKeepsTheOldKeys) {
  Pair pair(GetParam(), 64);
  ASSERT_TRUE(Pair::open(pair.b, pair.now, Pair::seal(pair.a, pair.now, "text"), &pair.why));
  pair.a.on_acked(0);
  for (int i = 0; i < 70; ++i) Pair::seal(pair.a, pair.now, "lost");
  ASSERT_EQ(pair.a.updates(), 1U);
  pair.now += 1min;
  EXPECT_EQ(Pair::open(pair.a, pair.now, Pair::seal(pair.b, pair.now, "older"), &pair.why),
            "older");
}

TEST_P(EachAead, WithoutAnAcknowledgementSealingEndsAtTheLimit) {
  Pair pair(GetParam(), 64);
  int sealed = 0;
  while (pair.a.may_seal()) {
    Pair::seal(pair.a, pair.now, "unheard");
    ASSERT_LE(++sealed, 128);
  }
  EXPECT_EQ(sealed, 128);
  EXPECT_EQ(pair.a.updates(), 0U);  // no packet of this phase was known to have arrived
}

TEST_P(EachAead, TheForgeryLimitEndsTheEpoch) {
  Pair pair(GetParam(), 64);
  const ByteVector good = Pair::seal(pair.a, pair.now, "good");
  for (int i = 0; i < 64; ++i) {
    ByteVector bad = good;
    bad.back() ^= std::byte{1};
    Pair::open(pair.b, pair.now, bad, &pair.why);
    EXPECT_EQ(pair.why, Refused::kForged);
  }
  EXPECT_TRUE(pair.b.worn_out());
  EXPECT_EQ(Pair::open(pair.b, pair.now, good, &pair.why), std::nullopt);
  EXPECT_EQ(pair.why, Refused::kWornOut);
}

TEST(Protection, LimitsAreThoseOfRfc9001) {
  EXPECT_EQ(limits_of(Aead::kAes128Gcm).sealed_max, std::uint64_t{1} << 23);
  EXPECT_EQ(limits_of(Aead::kAes128Gcm).forged_max, std::uint64_t{1} << 52);
  EXPECT_EQ(limits_of(Aead::kChaCha20Poly1305).forged_max, std::uint64_t{1} << 36);
  EXPECT_EQ(limits_of(Aead::kAes128Gcm).update_after, std::uint64_t{1} << 22);
}

}  // namespace
}  // namespace longhaul::datagram
