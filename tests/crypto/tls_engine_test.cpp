#include "lib/crypto/tls_engine.hpp"

#include <gtest/gtest.h>

#include "tests/crypto/tls_pair.hpp"

namespace longhaul::crypto {
namespace {

TEST(TlsEngine, BothSidesLearnTheOthersKey) {
  TlsPair pair;
  pair.exchange();
  ASSERT_TRUE(pair.both_open());
  EXPECT_EQ(pair.client->peer(), identity_of(kServerKey).pin());
  EXPECT_EQ(pair.server->peer(), identity_of(kClientKey).pin());
}

TEST(TlsEngine, HandshakeStandsAnySplit) {
  for (std::size_t split = 1; split < 40; ++split) {
    TlsPair pair;
    pair.exchange(split);
    EXPECT_TRUE(pair.both_open()) << split;
  }
}

TEST(TlsEngine, HandshakeStandsACutAtEveryByte) {
  TlsPair whole;
  std::size_t longest = 0;
  whole.exchange(~std::size_t{0},
                 [&](bool, ByteVector& flight) { longest = std::max(longest, flight.size()); });
  for (std::size_t cut = 40; cut < longest; ++cut) {
    TlsPair pair;
    pair.exchange(cut);
    EXPECT_TRUE(pair.both_open()) << cut;
  }
}

TEST(TlsEngine, DataMayFollowTheClientsFinishedAtOnce) {
  TlsPair pair;
  pair.carry(*pair.client, *pair.server, true, 1 << 20, {});
  pair.carry(*pair.server, *pair.client, false, 1 << 20, {});
  ASSERT_TRUE(pair.client->is_open());
  ASSERT_FALSE(pair.server->is_open());
  EXPECT_FALSE(pair.server->peer().has_value());
  ASSERT_TRUE(pair.client->write_plaintext(bytes_of("early")).has_value());
  pair.exchange();
  EXPECT_EQ(TlsPair::read_all(*pair.server), "early");
}

TEST(TlsEngine, CarriesMuchDataBothWays) {
  TlsPair pair;
  pair.exchange();
  std::string text;
  for (unsigned i = 0; i < 200'000; ++i) text += static_cast<char>(i * 7);
  std::string up, down;
  for (std::size_t at = 0, step = 1; at < text.size(); at += step, step = step * 3 % 40'009 + 1) {
    const auto piece = std::string_view(text).substr(at, step);
    ASSERT_TRUE(pair.client->write_plaintext(bytes_of(piece)).has_value());
    ASSERT_TRUE(pair.server->write_plaintext(bytes_of(piece)).has_value());
    pair.exchange(1 + step % 5'000);
    up += TlsPair::read_all(*pair.server);
    down += TlsPair::read_all(*pair.client);
  }
  EXPECT_EQ(up, text);
  EXPECT_EQ(down, text);
}

TEST(TlsEngine, AnotherKeyThanThePinnedOneIsRefused) {
  TlsPair pair(1, identity_of(9).pin());
  pair.exchange();
  EXPECT_EQ(pair.client->state(), TlsEngine::State::kFailed);
  EXPECT_EQ(pair.client->error()->kind(), Kind::kAuth);
  // Both fingerprints, for the one who must decide what happened.
  EXPECT_NE(pair.client->error()->why().find(identity_of(9).pin().hex()), std::string::npos);
  EXPECT_NE(pair.client->error()->why().find(identity_of(2).pin().hex()), std::string::npos);
  EXPECT_FALSE(pair.client->peer().has_value());
  EXPECT_EQ(pair.server->state(), TlsEngine::State::kFailed);
  EXPECT_EQ(pair.server->error()->kind(), Kind::kAuth);
}

TEST(TlsEngine, WithoutAPinAnyKeyIsShown) {
  TlsPair pair(1, std::nullopt);
  pair.exchange();
  ASSERT_TRUE(pair.both_open());
  EXPECT_EQ(pair.client->peer(), identity_of(kServerKey).pin());
}

TEST(TlsEngine, OurOwnKeyAsPeerIsRefused) {
  const TlsSides sides({.seeded = true}, kServerKey);
  TlsPair pair(1, std::nullopt, sides);
  pair.exchange();
  EXPECT_EQ(pair.client->state(), TlsEngine::State::kFailed);
  EXPECT_EQ(pair.server->state(), TlsEngine::State::kFailed);
  EXPECT_EQ(pair.client->error()->kind(), Kind::kAuth);
}

TEST(TlsEngine, ExporterIsEqualAtBothEndsAndOnlyThere) {
  TlsPair pair, other(2);
  pair.exchange();
  other.exchange();
  const auto of = [](TlsEngine& engine, std::string_view label, std::string_view context) {
    return to_hex(engine.exporter(label, bytes_of(context), 48));
  };
  const std::string ours = of(*pair.client, "EXPORTER-longhaul", "a");
  EXPECT_EQ(ours.size(), 96U);
  EXPECT_EQ(of(*pair.server, "EXPORTER-longhaul", "a"), ours);
  EXPECT_NE(of(*pair.server, "EXPORTER-longhaul", "b"), ours);
  EXPECT_NE(of(*pair.server, "EXPORTER-longhaul2", "a"), ours);
  EXPECT_NE(of(*other.server, "EXPORTER-longhaul", "a"), ours);
}

TEST(TlsEngine, SameSeedGivesSameBytes) {
  const auto run = [](std::uint64_t seed) {
    const TlsSides sides;  // as if in another process
    TlsPair pair(seed, std::nullopt, sides);
    pair.exchange();
    EXPECT_TRUE(pair.client->write_plaintext(bytes_of("the same")).has_value());
    pair.exchange();
    return to_hex(pair.trace) + to_hex(pair.client->exporter("x", {}, 32));
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(TlsEngine, AnEnginesBytesDoNotDependOnItsNeighbours) {
  TlsPair alone(3), shared(3);
  alone.exchange();
  // Another connection of the same contexts, with its steps in between.
  auto client = TlsEngine::client(TlsSides::shared().client, shared.pool, std::nullopt, 4);
  auto server = TlsEngine::server(TlsSides::shared().server, shared.pool, 4);
  for (int i = 0; i < 4; ++i) {
    ByteVector kept = shared.trace;
    shared.carry(*client, *server, true, 1 << 20, {});
    shared.carry(*server, *client, false, 1 << 20, {});
    shared.trace = kept;
    shared.carry(*shared.client, *shared.server, true, 1 << 20, {});
    shared.carry(*shared.server, *shared.client, false, 1 << 20, {});
  }
  EXPECT_TRUE(client->is_open() && server->is_open());
  EXPECT_EQ(to_hex(shared.trace), to_hex(alone.trace));
}

TEST(TlsEngine, SystemRandomnessDiffersEachTime) {
  const TlsSides sides(TlsOptions{});
  TlsPair a(1, std::nullopt, sides), b(1, std::nullopt, sides);
  a.exchange();
  b.exchange();
  EXPECT_TRUE(a.both_open() && b.both_open());
  EXPECT_NE(to_hex(a.trace), to_hex(b.trace));
}

TEST(TlsEngine, KeysAreUpdatedBeforeTheyWearOut) {
  const TlsSides sides({.seeded = true, .records_per_key = 3});
  TlsPair pair(1, std::nullopt, sides);
  pair.exchange();
  std::string sent, got;
  for (int i = 0; i < 50; ++i) {
    sent += "x" + std::to_string(i);
    ASSERT_TRUE(pair.client->write_plaintext(bytes_of("x" + std::to_string(i))).has_value());
    ASSERT_TRUE(pair.server->write_plaintext(bytes_of("y")).has_value());
    pair.exchange();
    got += TlsPair::read_all(*pair.server);
    EXPECT_EQ(TlsPair::read_all(*pair.client), "y");
  }
  EXPECT_EQ(got, sent);
}

TEST(TlsEngine, CloseIsSeenAfterTheLastData) {
  TlsPair pair;
  pair.exchange();
  ASSERT_TRUE(pair.client->write_plaintext(bytes_of("last words")).has_value());
  pair.client->close();
  pair.exchange();
  EXPECT_EQ(TlsPair::read_all(*pair.server), "last words");
  EXPECT_EQ(pair.server->state(), TlsEngine::State::kClosed);
  ASSERT_TRUE(pair.server->write_plaintext(bytes_of("goodbye")).has_value());
  pair.exchange();
  EXPECT_EQ(TlsPair::read_all(*pair.client), "goodbye");
}

TEST(TlsEngine, ChaCha20IsChosenForADiallerWithoutFastAes) {
  // Record header 5, handshake header 4, version 2, random 32, session id 1 + 32: then the suite.
  constexpr std::size_t kSuiteAt = 76;
  const auto suite_for = [](bool aes_is_fast) {
    TlsPair pair;
    const TlsContext dialler(identity_of(1), {.aes_is_fast = aes_is_fast, .seeded = true});
    auto client = TlsEngine::client(dialler, pair.pool, std::nullopt);
    pair.carry(*client, *pair.server, true, 1 << 20, {});
    const Slice flight = pair.server->poll_ciphertext();
    return to_hex(flight.bytes().subspan(kSuiteAt, 2));
  };
  EXPECT_EQ(suite_for(true), "1301");
  EXPECT_EQ(suite_for(false), "1303");
}

TEST(TlsEngineDeathTest, WritingBeforeTheHandshakeIsABug) {
  TlsPair pair;
  EXPECT_DEATH(static_cast<void>(pair.client->write_plaintext(bytes_of("too early"))), "bug");
}

}  // namespace
}  // namespace longhaul::crypto
