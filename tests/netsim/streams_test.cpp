#include "netsim/streams.hpp"

#include <gmock/gmock.h>

#include <numeric>
#include <string>

namespace netsim {
namespace {

using namespace longhaul;  // literals

// A user that writes what it is told, whenever there is room, and remembers what it got.
class Peer : public StreamUser {
 public:
  explicit Peer(Wan& wan) : wan_(wan) {}
  void send(ByteVector bytes, bool then_finish = true) {
    outgoing_ = Slice::copy_of(bytes);
    finish_ = then_finish;
    flush();
  }
  void on_connected(Time now, StreamId id) override {
    connected = now;
    stream = id;
    flush();
  }
  void on_bytes(Time now, StreamId id, Slice bytes) override {
    stream = id;
    if (received.empty()) first_byte = now;
    last_byte = now;
    pieces.push_back(bytes.size());
    append(received, bytes.bytes());
    if (echo) wan_.streams().write(id, bytes);
  }
  void on_writable(Time, StreamId) override {
    ++writable;
    flush();
  }
  void on_end(Time now, StreamId id) override {
    ended = now;
    if (echo) wan_.streams().finish(id);
  }
  void on_closed(Time now, StreamId, CloseReason why) override {
    closed = now;
    reason = why;
  }
  void flush() {
    if (stream == StreamId{} || outgoing_.empty()) return;
    outgoing_ = outgoing_.from(wan_.streams().write(stream, outgoing_));
    if (outgoing_.empty() && finish_) wan_.streams().finish(stream);
  }

  bool echo = false;
  StreamId stream{};
  ByteVector received;
  std::vector<std::size_t> pieces;
  std::optional<Time> connected, first_byte, last_byte, ended, closed;
  std::optional<CloseReason> reason;
  int writable = 0;

 private:
  Wan& wan_;
  Slice outgoing_;
  bool finish_ = true;
};

LinkConfig ocean() {  // 100 ms round trip, 1 us a byte each way
  LinkConfig config;
  for (const Direction d : kBothWays) {
    config[d].delay.base = 50ms;
    config[d].rate = ConstantRate{BytesPerSecond(1'000'000)};
  }
  return config;
}

ByteVector numbered(std::size_t size) {
  ByteVector bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>((i * 131) >> 3);
  return bytes;
}

struct World {
  explicit World(const LinkConfig& config = ocean(), std::uint64_t seed = 1) : wan(seed) {
    laptop = wan.add_host("laptop");
    site = wan.add_host("site");
    link = wan.connect(laptop, site, config);
    wan.checking(true);
    wan.streams().listen(endpoint(site, 443), [this](Time now, StreamId id, Endpoint from) {
      accepted = now;
      server.stream = id;
      seen_from = from;
      return &server;
    });
  }
  StreamId dial(StreamOptions options = {}) {
    return wan.streams().dial(laptop, endpoint(site, 443), client, options);
  }
  Duration since_start(std::optional<Time> t) { return t.value_or(Time{}).time_since_epoch(); }

  Wan wan;
  HostId laptop, site;
  LinkId link;
  Peer client{wan}, server{wan};
  std::optional<Time> accepted;
  Endpoint seen_from;
};

TEST(Streams, ConnectsInOneRoundTrip) {
  World w;
  w.dial();
  w.wan.run();
  EXPECT_EQ(w.since_start(w.client.connected), 100ms + 2 * 60us);  // SYN and SYN-ACK of 60 bytes
  EXPECT_EQ(w.since_start(w.accepted), 150ms + 2 * 60us + 52us);
}

TEST(Streams, DeliversTheFirstByteAfterOneAndAHalfRoundTrips) {
  World w;
  w.dial();
  w.client.send(numbered(100), false);
  w.wan.run();
  EXPECT_EQ(w.since_start(w.server.first_byte), 150ms + 2 * 60us + 52us + 152us);
  EXPECT_EQ(w.server.received, numbered(100));
}

TEST(Streams, EchoesAMegabyteAndFinishes) {
  World w;
  w.server.echo = true;
  w.dial();
  const ByteVector data = numbered(1 << 20);
  w.client.send(data);
  w.wan.run();
  EXPECT_EQ(w.server.received, data);
  EXPECT_EQ(w.client.received, data);
  EXPECT_EQ(w.client.reason, CloseReason::kFinished);
  EXPECT_EQ(w.server.reason, CloseReason::kFinished);
  EXPECT_EQ(w.wan.streams().open(), 0U);
}

TEST(Streams, FillsTheSendBufferThenSaysWhenThereIsRoom) {
  World w;
  StreamOptions options;
  options.flow.send_buffer_bytes = 64 << 10;
  const StreamId id = w.dial(options);
  EXPECT_EQ(w.wan.streams().write(id, Slice::copy_of(numbered(100'000))), 64U << 10);
  EXPECT_EQ(w.wan.streams().write(id, Slice::copy_of(numbered(10))), 0U);
  w.wan.run();
  EXPECT_EQ(w.client.writable, 1);
  EXPECT_EQ(w.server.received.size(), 64U << 10);
}

TEST(Streams, StopsWhenTheReaderDoesNotRead) {
  World w;
  StreamOptions options;
  options.flow.receive_buffer_bytes = 32 << 10;
  w.dial(options);
  w.client.send(numbered(200'000));
  w.wan.run_until([&] { return w.accepted.has_value(); }, 10s);
  w.wan.streams().pause_reading(w.server.stream);
  w.wan.run_for(20s);
  EXPECT_EQ(w.server.received.size(), 0U);
  w.wan.streams().resume_reading(w.server.stream);
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(200'000));
}

TEST(Streams, CutsIntoSlicesOfOneByte) {
  World w;
  StreamOptions options;
  options.slice_bytes = 1;
  w.dial(options);
  w.client.send(numbered(3000));
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(3000));
  EXPECT_THAT(w.server.pieces, testing::AllOf(testing::SizeIs(3000), testing::Each(1U)));
}

TEST(Streams, HalfCloseLetsTheOtherSideGoOn) {
  World w;
  w.dial();
  w.client.send(numbered(10));
  w.wan.run_until([&] { return w.server.ended.has_value(); }, 1min);
  w.server.send(numbered(50'000));
  w.wan.run();
  EXPECT_EQ(w.client.received, numbered(50'000));
  EXPECT_EQ(w.client.reason, CloseReason::kFinished);
  EXPECT_EQ(w.server.reason, CloseReason::kFinished);
}

TEST(Streams, CloseResetsThePeerAfterTheWay) {
  World w;
  const StreamId id = w.dial();
  w.wan.run();
  const Time closed = w.wan.now();
  w.wan.streams().close(id);
  w.wan.run();
  EXPECT_EQ(w.server.reason, CloseReason::kReset);
  EXPECT_EQ(*w.server.closed - closed, 50ms + 60us);
  EXPECT_FALSE(w.client.closed);
}

TEST(Streams, ResetsAtEveryByteOffset) {
  for (std::uint64_t offset = 0; offset <= 64; ++offset) {
    World w;
    StreamOptions options;
    options.reset_after_sent = offset;
    w.dial(options);
    w.client.send(numbered(64));
    w.wan.run();
    EXPECT_EQ(w.server.received.size(), offset);
    EXPECT_EQ(w.server.reason, CloseReason::kReset);
    EXPECT_EQ(w.client.reason, CloseReason::kReset);
  }
}

TEST(Streams, RefusesWhereNobodyListens) {
  World w;
  w.wan.streams().dial(w.laptop, endpoint(w.site, 80), w.client);
  w.wan.run();
  EXPECT_EQ(w.client.reason, CloseReason::kRefused);
  EXPECT_EQ(w.since_start(w.client.closed), 100ms + 120us);
}

TEST(Streams, DialRetriesUntilTheLinkIsBack) {
  World w;
  w.wan.apply(w.link, Outage{2500ms});
  w.dial();
  w.wan.run();
  EXPECT_EQ(w.since_start(w.client.connected), 3s + 100ms + 120us);  // SYNs at 0, 1 and 3 s
}

TEST(Streams, DialGivesUp) {
  World w;
  w.wan.apply(w.link, Outage{1h});
  w.dial();
  w.wan.run();
  EXPECT_EQ(w.client.reason, CloseReason::kTimedOut);
  EXPECT_EQ(w.since_start(w.client.closed), 127s);
}

TEST(Streams, ALossInTheMiddleStallsOneRoundTrip) {
  auto config = ocean();
  config.up.loss = TraceLoss{{0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
  World w(config);  // SYN, ACK and two segments pass, the third segment is lost
  w.dial();
  w.client.send(numbered(8 * 1448));
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(8 * 1448));
  const Duration start = *w.client.connected - Time{};
  // Segment 6, the fifth that the bottleneck sends, shows the loss; its ack is home 50 ms later.
  const Duration shown = start + 52us + 5 * 1500us + 50ms + 52us + 50ms;
  EXPECT_EQ(w.since_start(w.server.last_byte), shown + 1500us + 50ms);
  EXPECT_EQ(w.server.pieces.size(), 3U);
}

TEST(Streams, ALossAtTheEndStallsARetransmissionTimeout) {
  auto config = ocean();
  config.up.loss = TraceLoss{{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}};
  World w(config);
  w.dial();
  w.client.send(numbered(2 * 1448), false);
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(2 * 1448));
  const Duration stall = *w.server.last_byte - *w.server.first_byte;
  EXPECT_GE(stall, 300ms);  // smoothed RTT + at least 200 ms
  EXPECT_LE(stall, 600ms);
}

TEST(Streams, SurvivesAnOutageWithBackOff) {
  World w;
  w.dial();
  w.client.send(numbered(2 << 20));
  w.wan.clock().after(1s, [&] { w.wan.apply(w.link, Outage{30s}); });
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(2 << 20));
  EXPECT_GE(*w.server.last_byte - Time{}, 31s);
  EXPECT_LE(*w.server.last_byte - Time{}, 70s);  // back-off at most doubles the silence
}

TEST(Streams, DiesOfALongOutage) {
  World w;
  StreamOptions options;
  options.give_up = 20s;
  w.dial(options);
  w.client.send(numbered(2 << 20));
  w.wan.clock().after(1s, [&] { w.wan.apply(w.link, Outage{1h}); });
  w.wan.run_for(2min);
  EXPECT_EQ(w.client.reason, CloseReason::kTimedOut);
  EXPECT_FALSE(w.server.closed);  // it only listens, and nobody has told it
}

TEST(Streams, FindsTheWayThroughAPmtuBlackHole) {
  World w;
  w.dial();
  w.client.send(numbered(1 << 20));
  w.wan.clock().after(500ms, [&] { w.wan.apply(w.link, PmtuDrop{1400, 1h}); });
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(1 << 20));
  EXPECT_LE(*w.server.last_byte - Time{}, 6s);
}

TEST(Streams, ObeysAnAnsweringRouterWithASmallMtu) {
  auto config = ocean();
  config.up.mtu_bytes = 1000;
  World w(config);
  w.dial();
  w.client.send(numbered(100'000));
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(100'000));
  EXPECT_LE(*w.server.last_byte - Time{}, 1s);
}

TEST(Streams, RebindingCutsTheConnectionOff) {
  World w;
  w.dial();
  w.client.send(numbered(10), false);
  w.wan.run();
  w.wan.apply(w.link, Rebind{});
  w.wan.streams().write(w.client.stream, Slice::copy_of("after"));
  w.wan.run();
  EXPECT_EQ(w.client.reason, CloseReason::kReset);  // the site knows no connection from that port
  EXPECT_EQ(w.server.received.size(), 10U);
  const StreamId again = w.dial();
  w.wan.run();
  EXPECT_NE(again, StreamId{});
  EXPECT_GE(w.seen_from.port, 49152);
}

TEST(Streams, ACrashedHostIsSilentThenResets) {
  World w;
  w.dial();
  w.client.send(numbered(10), false);
  w.wan.run();
  w.wan.crash(w.site);
  w.wan.streams().write(w.client.stream, Slice::copy_of("anyone?"));
  w.wan.run_for(10s);
  EXPECT_FALSE(w.client.closed);
  w.wan.restart(w.site);
  w.wan.run();
  EXPECT_EQ(w.client.reason, CloseReason::kReset);
  EXPECT_EQ(w.wan.streams().open(), 0U);
}

TEST(Streams, BitFlipsBehindTheChecksumReachTheApplication) {
  auto config = ocean();
  config.up.corrupt = {0.05, true};
  World w(config);
  w.dial();
  w.client.send(numbered(500'000));
  w.wan.run();
  ASSERT_EQ(w.server.received.size(), 500'000U);
  const ByteVector sent = numbered(500'000);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < sent.size(); ++i) wrong += sent[i] != w.server.received[i] ? 1U : 0U;
  EXPECT_GE(wrong, 5U);
  EXPECT_LE(wrong, 40U);  // one bit in one byte of 5 % of 345 segments
}

TEST(Streams, BitFlipsBeforeTheChecksumAreLosses) {
  auto config = ocean();
  config.up.corrupt = {0.02, false};
  World w(config);
  w.dial();
  w.client.send(numbered(500'000));
  w.wan.run();
  EXPECT_EQ(w.server.received, numbered(500'000));
  EXPECT_GT(w.wan.link(w.link).pipe(Direction::kUp).counters().corrupted, 0U);
}

TEST(Streams, EverySeedOfABadLinkDeliversEverything) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    auto config = ocean();
    for (const Direction d : kBothWays) {
      config[d].loss = GilbertElliottLoss::of(0.03, 3);
      config[d].delay.jitter = ParetoJitter{2ms, 30ms};
      config[d].delay.may_reorder = seed % 2 == 0;
      config[d].reorder = {0.02, 15ms};
      config[d].duplicate = 0.01;
      config[d].queue.bytes_max = 50'000_B;
    }
    World w(config, seed);
    w.server.echo = false;
    w.dial();
    w.client.send(numbered(300'000));
    w.wan.run();
    EXPECT_EQ(w.server.received, numbered(300'000)) << "seed " << seed;
    w.server.send(numbered(300'000));
    w.wan.run();
    EXPECT_EQ(w.client.received, numbered(300'000)) << "seed " << seed;
    EXPECT_EQ(w.client.reason, CloseReason::kFinished) << "seed " << seed;
    EXPECT_EQ(w.server.reason, CloseReason::kFinished) << "seed " << seed;
  }
}

TEST(Streams, FillsALongFatPipe) {
  LinkConfig config;
  for (const Direction d : kBothWays) {
    config[d].delay.base = 80ms;
    config[d].rate = ConstantRate{BytesPerSecond::from_bits(100'000'000)};
  }
  config.up.queue.bytes_max = 1'000'000_B;
  World w(config);
  w.wan.checking(false);
  StreamOptions options;
  options.flow.send_buffer_bytes = options.flow.receive_buffer_bytes = 16 << 20;
  w.dial(options);
  w.client.send(numbered(100 << 20));
  w.wan.run();
  const double seconds = std::chrono::duration<double>(*w.server.last_byte - Time{}).count();
  EXPECT_LE(seconds,
            8.7 / 0.8);  // 100 MiB take 8.7 s with headers; 80 % of the rate from a cold start
}

}  // namespace
}  // namespace netsim
