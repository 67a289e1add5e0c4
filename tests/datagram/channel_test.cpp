// What an attacker on the way can do to two channels, what a peer that breaks the protocol can, and
// what neither can.
#include "tests/datagram/channel_wire.hpp"

namespace longhaul::datagram {
namespace {

TEST(Channel, CarriesAndSettlesEverything) {
  Wire wire;
  wire.laptop.load.wanted = 20'000;
  wire.site.load.wanted = 100;
  wire.run(5s);
  expect_all_once(wire.site, 20'000);
  expect_all_once(wire.laptop, 100);
  EXPECT_EQ(wire.laptop.load.acked, 20'000U);
  EXPECT_EQ(wire.laptop.channel.packet_bytes(), 1472U) << "found while the link was full";
}

// A sender that obeys its deadlines to the nanosecond gets there a packet at a time, were a batch
// only what is due.
TEST(Channel, AMillisecondOfTheRateLeavesTogether) {
  Wire wire;
  wire.laptop.load.wanted = 100'000;
  Channel& channel = wire.laptop.channel;
  std::size_t batches = 0, packets = 0;
  for (Time now{}; now < Time{} + 10ms; now = std::max(*channel.next_deadline(now), now + 1us)) {
    while (const auto batch = channel.poll(now)) {
      if (batch->bytes.size() < 1000) continue;
      ++batches;
      packets += (batch->bytes.size() + batch->each_bytes - 1) / batch->each_bytes;
    }
  }
  EXPECT_GE(packets, 50U);  // 128 over 20 ms
  EXPECT_GE(packets, 5 * batches);
}

// Bulk without end, and something urgent that was due long ago.
class Overdue final : public Load {
 public:
  bool has(Time, bool) const override { return true; }
  std::optional<Time> next_at(Time) const override { return Time{}; }
  void fill(Time, Packing& packet, bool urgent) override {
    urgent_packets += urgent ? 1 : 0;
    packet.elicit();
    packet.pad(packet.room());
  }
  bool refill(const Item&, Packing&) override { return false; }
  void accompany(Packing&) override {}
  Result<> on_frame(Time, std::uint8_t, wire::Reader&) override { return {}; }
  void on_acked(const Item&) override {}
  void on_lost(const Item&) override {}
  std::uint64_t urgent_packets = 0;
};

TEST(Channel, BehindAFullWindowItWaitsForAnAckNotForATimeThatHasPassed) {
  BufferPool pool;
  Overdue load;
  Channel channel(Time{}, keys_of(true),
                  End::options(pool, kSite, limits_of(crypto::Aead::kAes128Gcm)), load);
  int turns = 0;
  for (Time now{}; now < Time{} + 400ms;) {
    while (channel.poll(now).has_value()) {
    }
    if (!channel.rate().next_send().has_value()) {
      const auto due = channel.next_deadline(now);
      ASSERT_TRUE(!due.has_value() || *due > now);
      ++turns;
    }
    now = std::max(channel.next_deadline(now).value_or(Time{} + 1s), now + 1us);
    channel.on_deadline(now);
  }
  EXPECT_GT(turns, 0);
  EXPECT_GE(load.urgent_packets, 64U);  // beyond the window, and not more
}

// Each packet that was lost at the end, and sent again, once allowed a twentieth of the window
// more.
TEST(Channel, EarlyCopiesStayBelowATwentiethOfAll) {
  Wire wire;
  wire.laptop.load.frame_bytes = wire.site.load.frame_bytes = 1000;  // one a packet
  wire.laptop.load.wanted = 4'000;
  Rng rng(1);
  wire.run(4s, [&](Wire::Flying& datagram) {
    if (rng.below(10) == 0) datagram.to = kElsewhere;
  });
  EXPECT_EQ(wire.laptop.load.acked, 4'000U);
  const ChannelCounters& seen = wire.laptop.channel.counters();
  EXPECT_GT(seen.resent_early, 0U);
  EXPECT_LE(seen.resent_early, seen.data_packets_out / 20);
}

// While the socket is full nothing is sealed, so that no number is burnt; what is lost goes again
// under new ones. One that was sealed twice would be refused as a replay.
TEST(Channel, AFullSocketSealsNothingAndNoNumberIsSealedTwice) {
  Wire wire;
  Channel& channel = wire.laptop.channel;
  wire.laptop.load.wanted = 30'000;
  Rng rng(4);
  std::uint64_t waits = 0;
  for (int i = 0; i < 1'000; ++i) {
    const bool full = i < 990 && rng.chance(0.3);
    channel.on_blocked(full);
    const PacketNumber next = channel.protection().next_number();
    wire.run(5ms, [&](Wire::Flying& one) {
      if (rng.chance(0.05)) one.bytes.clear();
    });
    if (!full) continue;
    ++waits;
    EXPECT_EQ(channel.protection().next_number(), next);
  }
  EXPECT_GT(waits, 200U);
  EXPECT_EQ(wire.laptop.load.acked, 30'000U);
  expect_all_once(wire.site, 30'000);
  EXPECT_EQ(channel.protection().next_number(), channel.counters().packets_out);
  EXPECT_GT(channel.counters().lost, 50U);
  EXPECT_EQ(wire.site.refused(Refused::kReplayed), 0U);
  EXPECT_EQ(wire.site.refused(Refused::kForged), 0U);
}

// Packets that it sends into a path that answers nothing.
std::uint64_t packets_unheard(Channel& channel, Time& now, Duration span) {
  std::uint64_t packets = 0;
  for (const Time until = now + span; now < until; channel.on_deadline(now)) {
    while (channel.poll(now).has_value()) ++packets;
    now = std::min(until, std::max(channel.next_deadline(now).value_or(until), now + 1us));
  }
  return packets;
}

// Four times a second for a quarter of an hour, then once; and as at first, from that moment on,
// when the host has other addresses.
TEST(Channel, ADeadPathIsAskedSoonAgainOnceAddressesChange) {
  Wire wire;
  Channel& channel = wire.laptop.channel;
  wire.run(100ms);
  Time now = wire.now;
  wire.laptop.load.wanted += 10;
  packets_unheard(channel, now, 2s);
  ASSERT_EQ(channel.life(), Life::kStalled);
  EXPECT_NEAR(static_cast<double>(packets_unheard(channel, now, 20s)), 80, 4);
  packets_unheard(channel, now, 15min);
  EXPECT_NEAR(static_cast<double>(packets_unheard(channel, now, 20s)), 20, 4);
  channel.on_addresses_changed(now);
  EXPECT_TRUE(channel.poll(now).has_value());
  const std::uint64_t again = packets_unheard(channel, now, 20s);
  EXPECT_GE(again, 76U);
  EXPECT_LE(again, 76U + 20U);  // and the challenges of the peer's address
}

TEST(Channel, WhatThePeersSocketDroppedIsNoLossOfTheLinks) {
  for (const bool told : {false, true}) {
    Wire wire;
    wire.laptop.load.wanted = 100'000;
    wire.site.channel.on_socket_drops(7);  // of before
    std::uint64_t count = 0, dropped = 0;
    wire.run(3s, [&](Wire::Flying& datagram) {
      if (!datagram.to_site || ++count % 400 > 20) return;  // 20 in a row find it full
      ++dropped;
      datagram.bytes.clear();
      if (told) wire.site.channel.on_socket_drops(7 + dropped);
    });
    const ChannelCounters& seen = wire.laptop.channel.counters();
    EXPECT_GT(seen.lost, 100U);
    EXPECT_GE(seen.dropped_there, told ? seen.lost * 9 / 10 : 0);
    EXPECT_EQ(seen.dropped_there > 0, told);
    // As loss it calls for a test at 0.6 of the rate, or for less.
    const std::uint32_t loss = wire.laptop.channel.rate().state().loss_ppm;
    EXPECT_EQ(loss > 5000, !told) << loss;
    EXPECT_EQ(wire.laptop.load.acked, 100'000U);
  }
}

TEST(Channel, U4AStrangerHearsNothing) {
  Wire wire;
  wire.run(100ms);
  wire.sent_to.clear();
  Rng rng(1);
  for (int i = 0; i < 10'000; ++i) {
    ByteVector noise(rng.below(1500));
    for (std::byte& one : noise) one = static_cast<std::byte>(rng.below(256));
    if (!noise.empty() && rng.chance(0.5)) noise[0] = std::byte{0x43};
    if (noise.size() > 9 && rng.chance(0.5)) std::fill_n(noise.begin() + 1, 8, std::byte{1});
    ASSERT_TRUE(wire.deliver(wire.site, kElsewhere, noise).has_value());
  }
  EXPECT_EQ(wire.site.channel.poll(wire.now), std::nullopt);
  EXPECT_EQ(wire.sent_to[std::byte{9}], 0U);
  EXPECT_EQ(wire.site.channel.route().current(), kLaptop);
  EXPECT_EQ(wire.site.refused(Refused::kNotOurs) + wire.site.refused(Refused::kForged) +
                wire.site.refused(Refused::kReplayed),
            10'000U);
}

TEST(Channel, CopiesFromElsewhereMoveNothingAndAreCounted) {
  Wire wire;
  wire.laptop.load.wanted = 500;
  std::vector<Wire::Flying> seen;
  wire.run(500ms, [&](Wire::Flying& one) {
    if (one.to_site) seen.push_back(one);
  });
  ASSERT_GT(seen.size(), 20U);
  wire.sent_to.clear();
  for (const Wire::Flying& one : seen)
    ASSERT_TRUE(wire.deliver(wire.site, kElsewhere, one.bytes).has_value());
  EXPECT_EQ(wire.site.refused(Refused::kReplayed), seen.size());
  wire.run(1s);
  EXPECT_EQ(wire.sent_to[std::byte{9}], 0U);
  EXPECT_EQ(wire.site.load.received.size(), 500U);
}

// Somebody on the way holds back the newest packet and sends it from elsewhere: what goes there
// until it is proven is at most three times what came, and the peer's next packet undoes it.
TEST(Channel, U4APacketCaughtAndSentFromElsewhereGainsLittle) {
  Wire wire;
  wire.site.load.wanted = 100'000;
  wire.laptop.load.wanted = 100'000;
  wire.run(300ms);
  wire.sent_to.clear();
  std::uint64_t caught = 0;
  bool over = false;
  wire.run(100ms, [&](Wire::Flying& one) {
    if (!one.to_site || over) return;
    caught += one.bytes.size();
    ASSERT_TRUE(wire.deliver(wire.site, kElsewhere, one.bytes).has_value());
    one.bytes.clear();
    over = caught > 5000;
  });
  EXPECT_LE(wire.sent_to[std::byte{9}], 3 * caught);
  EXPECT_EQ(wire.site.channel.route().current(), kLaptop);
  wire.run(4s);
  EXPECT_TRUE(wire.site.channel.route().validated());
}

TEST(Channel, FlippedCutAndReorderedPacketsCostOnlyThemselves) {
  Wire wire;
  Rng rng(3);
  wire.laptop.load.wanted = wire.site.load.wanted = 3000;
  std::uint64_t hurt = 0;
  wire.run(20s, [&](Wire::Flying& one) {
    if (rng.chance(0.06)) {
      one.bytes[rng.below(one.bytes.size())] ^= std::byte{1};
      ++hurt;
    } else if (rng.chance(0.06)) {
      one.bytes.resize(rng.below(one.bytes.size()));
      ++hurt;
    } else if (rng.chance(0.06)) {
      wire.flying.push_back(one);  // once more behind all that flies
      wire.flying.back().due = wire.now + kOneWay;
    }
  });
  ASSERT_GT(hurt, 20U);
  expect_all_once(wire.site, 3000);
  expect_all_once(wire.laptop, 3000);
  EXPECT_EQ(wire.laptop.load.acked, 3000U);
  EXPECT_TRUE(wire.laptop.channel.heard(wire.now));
}

TEST(Channel, AnotherSessionsPacketsAreNotOurs) {
  Wire wire;
  wire.run(100ms);
  Protection stranger(keys_of(true, "another"), limits_of(crypto::Aead::kAes128Gcm));
  ByteVector packet(stranger.header_bytes() + 40 + crypto::kTagBytes);
  stranger.seal(wire.now, packet);
  ASSERT_TRUE(wire.deliver(wire.site, kLaptop, packet).has_value());
  EXPECT_EQ(wire.site.refused(Refused::kForged), 1U);
}

// The limits of RFC 9001 at 64 packets: keys change under load, and at the forgery limit the path
// is over, not the session.
TEST(Channel, KeysChangeUnderLoadAndTheForgeryLimitEndsThePath) {
  Wire wire(KeyLimits{64, 1U << 20, 64});
  for (int i = 0; i < 40; ++i) {  // an update waits for the keys before the last to be forgotten
    wire.laptop.load.wanted += 2000;
    wire.site.load.wanted += 2000;
    wire.run(100ms);
  }
  wire.run(1s);
  expect_all_once(wire.site, 80'000);
  EXPECT_GE(wire.laptop.channel.protection().updates(), 5U);
  ByteVector forged(100, std::byte{7});
  forged[0] = std::byte{0x43};
  std::fill_n(forged.begin() + 1, 8, std::byte{1});
  // What looks like a number of before is not even tried, and counts for nothing.
  for (std::uint32_t i = 0; i < 10'000 && wire.site.channel.life() != Life::kOver; ++i) {
    store_le(MutableBytes(forged).subspan(9), i * 2654435761U);
    store_le(MutableBytes(forged).subspan(40), i);
    ASSERT_TRUE(wire.deliver(wire.site, kElsewhere, forged).has_value());
  }
  EXPECT_EQ(wire.site.refused(Refused::kForged), 64U);
  EXPECT_EQ(wire.site.channel.life(), Life::kOver);
  EXPECT_EQ(wire.site.channel.poll(wire.now), std::nullopt);
}

// What a peer whose key we know may do wrong: each is an error with which its session ends.
TEST(Channel, AHostilePeerIsToldApart) {
  const auto error_of = [](const std::function<void(wire::Writer&)>& body) {
    Wire wire;
    wire.run(100ms);
    Protection peer(keys_of(true), limits_of(crypto::Aead::kAes128Gcm));
    for (int i = 0; i < 1000; ++i) {  // beyond the numbers that the real one has used
      ByteVector burnt(peer.header_bytes() + 8 + crypto::kTagBytes);
      peer.seal(wire.now, burnt);
    }
    ByteVector packet(peer.header_bytes() + 200 + crypto::kTagBytes);
    wire::Writer out(MutableBytes(packet).subspan(peer.header_bytes(), 200));
    body(out);
    peer.seal(wire.now, packet);
    const auto told = wire.site.channel.on_datagram(wire.now, kLaptop, packet);
    return told.has_value() ? std::nullopt : std::optional(told.error().kind());
  };
  const auto ack = [](PacketNumber largest) {
    return [largest](wire::Writer& out) {
      AckFrame frame;
      frame.ranges[0] = {0, largest};
      frame.range_count = 1;
      write(out, frame);
    };
  };
  EXPECT_EQ(error_of(ack(0)), std::nullopt);
  EXPECT_EQ(error_of(ack(1'000'000)), Kind::kMalformed) << "never sent";
  EXPECT_EQ(error_of([](wire::Writer& out) { out.byte(7); }), Kind::kUnsupported);
  EXPECT_EQ(error_of([](wire::Writer& out) {  // an unknown frame longer than its packet
              out.byte(200);
              out.fixed<std::uint16_t>(60'000);
            }),
            Kind::kMalformed);
}

// An unproven address leaves 128 bytes a packet; with many gaps the acknowledgement alone would
// fill it, and the ping that must be there had no room.
TEST(Channel, APingHasRoomBesideALongAcknowledgement) {
  Wire wire;
  Rng rng(5);
  wire.laptop.load.wanted = 2000;
  bool moved = false;
  wire.run(3s, [&](Wire::Flying& one) {
    if (rng.chance(0.4)) one.bytes.clear();
    if (one.to_site) one.from = moved ? kElsewhere : kLaptop;
    if (one.to == kElsewhere) one.to = kLaptop;
    moved = moved || wire.now > Time{} + 500ms;
  });
  for (int i = 0; i < 400; ++i) {
    wire.site.channel.on_addresses_changed(wire.now);  // each asks for a ping
    wire.run(5ms, [&](Wire::Flying& one) {
      if (one.to_site) one.from = rng.chance(0.5) ? kElsewhere : kLaptop;
      if (rng.chance(0.4)) one.bytes.clear();
    });
  }
  SUCCEED();
}

}  // namespace
}  // namespace longhaul::datagram
