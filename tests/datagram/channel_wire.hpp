// Two channels on a wire that the test holds in its hands: it may hold back, change, drop and add
// what flies.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "lib/base/rng.hpp"
#include "lib/datagram/channel.hpp"

namespace longhaul::datagram {

inline Address at(std::uint8_t host) {
  Address address;
  address.ip[10] = address.ip[11] = std::byte{0xff};
  address.ip[15] = std::byte{host};
  address.port = 443;
  return address;
}

// Numbered frames of one size, as many as asked for.
class Numbers final : public Load {
 public:
  static constexpr std::uint8_t kType = 16;
  std::size_t frame_bytes = 1 + 8 + 91;  // the same at both ends
  bool has(Time, bool urgent) const override {
    return !urgent && (!again.empty() || next < wanted);
  }
  std::optional<Time> next_at(Time) const override { return std::nullopt; }
  void fill(Time, Packing& packet, bool) override {
    while (has(Time{}, false) && packet.room() >= frame_bytes) {
      std::uint64_t number = next;
      if (again.empty()) {
        ++next;
      } else {
        number = again.front();
        again.pop_front();
      }
      put(number, packet);
      packet.carry(Item{number, 0, 0, kType, 0});
    }
  }
  bool refill(const Item& item, Packing& packet) override {
    if (packet.room() < frame_bytes) return false;
    put(item.name, packet);
    return true;
  }
  void accompany(Packing&) override {}
  Result<> on_frame(Time, std::uint8_t type, wire::Reader& in) override {
    if (type != kType) return fail(Kind::kUnsupported, "read a frame", "of another type");
    received.push_back(in.fixed<std::uint64_t>());
    in.raw(frame_bytes - 9);
    return {};
  }
  void on_acked(const Item&) override { ++acked; }
  void on_lost(const Item& item) override { again.push_back(item.name); }

  std::uint64_t wanted = 0, next = 0, acked = 0;
  std::deque<std::uint64_t> again;
  std::vector<std::uint64_t> received;

 private:
  void put(std::uint64_t number, Packing& packet) const {
    packet.frame(frame_bytes, [this, number](wire::Writer& out) {
      out.byte(kType);
      out.fixed(number);
      out.raw(ByteVector(frame_bytes - 9));
    });
  }
};

struct End {
  End(BufferPool& pool, const EpochKeys& keys, std::optional<Address> peer, const KeyLimits& limits)
      : channel(Time{}, keys, options(pool, peer, limits), load) {}
  static ChannelOptions options(BufferPool& pool, std::optional<Address> peer,
                                const KeyLimits& limits) {
    ChannelOptions how;
    how.peer = peer;
    how.limits = limits;
    how.buffers = &pool;
    how.rate.handshake_rtt = 20ms;
    return how;
  }
  std::uint64_t refused(Refused why) const {
    return channel.counters().refused[static_cast<std::size_t>(why)];
  }
  Numbers load;
  Channel channel;
};

inline EpochKeys keys_of(bool dials, std::string_view session = "session") {
  const std::string name(session);
  EpochKeys keys;
  keys.send_secret = crypto::sha256(name + (dials ? "up" : "down"));
  keys.receive_secret = crypto::sha256(name + (dials ? "down" : "up"));
  keys.send_id.fill(dials ? std::byte{1} : std::byte{2});
  keys.receive_id.fill(dials ? std::byte{2} : std::byte{1});
  return keys;
}

inline constexpr Duration kOneWay = 10ms;
inline const Address kLaptop = at(1), kSite = at(2), kElsewhere = at(9);

class Wire {
 public:
  explicit Wire(const KeyLimits& limits = limits_of(crypto::Aead::kAes128Gcm))
      : laptop(pool, keys_of(true), kSite, limits),
        site(pool, keys_of(false), std::nullopt, limits) {}

  struct Flying {
    Time due{};
    bool to_site = false;
    Address from, to;
    ByteVector bytes;
  };
  void collect(End& end, bool to_site) {
    while (const auto batch = end.channel.poll(now)) {
      for (std::size_t i = 0; i < batch->bytes.size(); i += batch->each_bytes) {
        const Bytes one = batch->bytes.bytes().subspan(
            i, std::min<std::size_t>(batch->each_bytes, batch->bytes.size() - i));
        sent_to[batch->to.ip[15]] += one.size();
        flying.push_back({now + kOneWay, to_site, to_site ? kLaptop : kSite, batch->to,
                          ByteVector(one.begin(), one.end())});
      }
    }
  }
  Result<> deliver(End& end, const Address& from, Bytes datagram) {
    auto told = end.channel.on_datagram(now, from, datagram);
    end.channel.check();
    return told;
  }
  // Milliseconds pass; `attack` may change, drop or add to what flies.
  void run(Duration span, const std::function<void(Flying&)>& attack = {}) {
    for (const Time until = now + span; now < until; now += 1ms) {
      for (End* end : {&laptop, &site}) {
        const auto due = end->channel.next_deadline(now);
        if (due.has_value() && *due <= now) end->channel.on_deadline(now);
      }
      collect(laptop, true);
      collect(site, false);
      while (!flying.empty() && flying.front().due <= now) {
        Flying one = std::move(flying.front());
        flying.pop_front();
        if (attack) attack(one);
        if (one.bytes.empty()) continue;
        const Address expected = one.to_site ? kSite : kLaptop;
        if (one.to != expected) continue;  // nobody is there
        ASSERT_TRUE(deliver(one.to_site ? site : laptop, one.from, one.bytes).has_value());
      }
    }
  }
  BufferPool pool;
  Time now{};
  End laptop, site;
  std::deque<Flying> flying;
  std::map<std::byte, std::uint64_t> sent_to;  // bytes, by host
};

inline void expect_all_once(const End& receiver, std::uint64_t count) {
  std::vector<std::uint64_t> got = receiver.load.received;
  std::sort(got.begin(), got.end());
  got.erase(std::unique(got.begin(), got.end()), got.end());
  EXPECT_EQ(got.size(), count);
}

}  // namespace longhaul::datagram
