// Acknowledgements as bytes. Those under tests/golden/wire are what a peer of an earlier release
// sends; tests/golden/decode.py reads them by docs/wire.md alone.
#include "lib/datagram/frames.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "lib/base/rng.hpp"

namespace longhaul::datagram {
namespace {

ByteVector bytes_of(const AckFrame& ack) {
  wire::Writer counter;
  write(counter, ack);
  ByteVector bytes(counter.size());
  wire::Writer out(bytes);
  write(out, ack);
  return bytes;
}

// Behind the type; nothing if the reader has failed or bytes are left.
std::optional<AckFrame> read(Bytes bytes) {
  wire::Reader in(bytes);
  if (in.byte() != static_cast<std::uint8_t>(FrameType::kAck)) return std::nullopt;
  const AckFrame ack = read_ack(in);
  if (in.failed() || in.left() > 0) return std::nullopt;
  return ack;
}

std::string json_of(const AckFrame& ack) {
  std::string ranges, times;
  for (std::size_t i = 0; i < ack.range_count; ++i)
    ranges += fmt::format("{}[{}, {}]", i > 0 ? ", " : "", ack.ranges[i].first, ack.ranges[i].last);
  for (std::size_t i = 0; i < ack.time_count; ++i)
    times += fmt::format("{}{}", i > 0 ? ", " : "", ack.earlier_us[i]);
  return fmt::format(
      R"({{"largest": {}, "held_us": {}, "received_us": {}, "dropped": {}, "ranges": [{}], "earlier_us": [{}]}})",
      ack.largest(), ack.held / 1us, ack.received / 1us, ack.dropped, ranges, times);
}

AckFrame one() {
  AckFrame ack;
  ack.ranges[0] = {0, 0};
  ack.range_count = 1;
  return ack;
}
AckFrame with_gaps() {
  AckFrame ack;
  ack.held = 1500us;
  ack.received = 75s;
  ack.dropped = 300;
  ack.ranges[0] = {70'000, 70'200};
  ack.ranges[1] = {69'998, 69'998};  // one is missing between them
  ack.ranges[2] = {0, 69'000};
  ack.range_count = 3;
  ack.earlier_us[0] = 12;
  ack.earlier_us[1] = -250;  // it came after the number above it
  ack.earlier_us[2] = 0;
  ack.time_count = 3;
  return ack;
}
// As much as there may be of everything.
AckFrame full() {
  AckFrame ack;
  ack.held = Duration(std::chrono::microseconds(std::int64_t{1} << 52));
  ack.received = ack.held;
  ack.dropped = kPacketNumberMax;
  PacketNumber top = kPacketNumberMax;
  for (std::size_t i = 0; i < kAckRangesMax; ++i, top -= 10) ack.ranges[i] = {top - 3, top};
  ack.range_count = kAckRangesMax;
  for (std::size_t i = 0; i < kAckTimesMax; ++i)
    ack.earlier_us[i] = (i % 2 == 0 ? 1 : -1) * static_cast<std::int64_t>(i * 100);
  ack.time_count = kAckTimesMax;
  return ack;
}

AckFrame random_ack(Rng& rng) {
  AckFrame ack;
  ack.held = std::chrono::microseconds(rng.below(1U << 20));
  ack.received = std::chrono::microseconds(rng.below(std::uint64_t{1} << 40));
  ack.dropped = rng.below(3) == 0 ? rng.below(1'000) : 0;
  const std::size_t count = rng.between(1, kAckRangesMax);
  PacketNumber top = rng.below(kPacketNumberMax);
  for (std::size_t i = 0; i < count; ++i) {
    const PacketNumber length = rng.below(std::min<std::uint64_t>(top + 1, 1'000));
    ack.ranges[ack.range_count++] = {top - length, top};
    const PacketNumber below = top - length, gap = 2 + rng.below(50);
    if (below < gap) break;
    top = below - gap;
  }
  ack.time_count = rng.below(kAckTimesMax + 1);
  for (std::size_t i = 0; i < ack.time_count; ++i)
    ack.earlier_us[i] = static_cast<std::int64_t>(rng.below(4'000)) - 1'000;
  return ack;
}

TEST(AckBytes, GiveBackWhatWasWritten) {
  Rng rng(1, "acks");
  for (int i = 0; i < 2'000; ++i) {
    const AckFrame ack = random_ack(rng);
    const auto back = read(bytes_of(ack));
    ASSERT_TRUE(back.has_value()) << json_of(ack);
    EXPECT_EQ(json_of(*back), json_of(ack));
  }
}

TEST(AckBytes, AreRefusedWhereverTheyAreCut) {
  for (const AckFrame& ack : {one(), with_gaps(), full()}) {
    const ByteVector bytes = bytes_of(ack);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(read(Bytes(bytes).first(length)).has_value()) << length;
  }
}

// What is read of damaged bytes is an acknowledgement whose ranges neither touch nor cross, and
// that has one form: written again it is the same bytes.
TEST(AckBytes, HaveOneFormWhateverTheyBecome) {
  Rng rng(2, "acks");
  std::size_t read_on = 0;
  for (int i = 0; i < 20'000; ++i) {
    ByteVector bytes = bytes_of(random_ack(rng));
    bytes[1 + rng.below(bytes.size() - 1)] ^= static_cast<std::byte>(rng.between(1, 255));
    const auto back = read(bytes);
    if (!back.has_value()) continue;
    ++read_on;
    for (std::size_t at = 0; at < back->range_count; ++at) {
      ASSERT_LE(back->ranges[at].first, back->ranges[at].last);
      if (at > 0) {
        ASSERT_LT(back->ranges[at].last + 1, back->ranges[at - 1].first);
      }
    }
    ASSERT_EQ(bytes_of(*back), bytes);
  }
  EXPECT_GT(read_on, 2'000U);
}

// The highest counts that the page allows, and one more: of ranges, and of times.
TEST(AckBytes, AreBoundedInRangesAndTimes) {
  const ByteVector most = bytes_of(full());
  EXPECT_TRUE(read(most).has_value());
  const auto fails = [](std::uint8_t more_ranges, std::uint8_t times) {
    ByteVector bytes(64);
    wire::Writer out(bytes);
    out.byte(2);
    out.varint(1'000);
    for (int i = 0; i < 3; ++i) out.varint(0);
    out.byte(more_ranges);
    out.varint(0);
    for (int i = 0; i < more_ranges; ++i) {
      out.varint(0);
      out.varint(0);
    }
    out.byte(times);
    for (int i = 0; i < times && out.size() < bytes.size(); ++i) out.varint(0);
    wire::Reader in(bytes);
    in.byte();
    read_ack(in);
    return in.failed();
  };
  EXPECT_FALSE(fails(kAckRangesMax - 1, 0));
  EXPECT_TRUE(fails(kAckRangesMax, 0));
  EXPECT_FALSE(fails(0, kAckTimesMax));
  EXPECT_TRUE(fails(0, kAckTimesMax + 1));
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// LONGHAUL_UPDATE=1 writes them anew: bytes that were released must not change.
TEST(AckBytes, AreWhatTheyWere) {
  const std::pair<const char*, AckFrame> all[] = {
      {"one", one()}, {"gaps", with_gaps()}, {"full", full()}};
  for (const auto& [name, ack] : all) {
    const std::string place =
        LONGHAUL_SOURCE_DIR "/tests/golden/wire/datagram-ack-" + std::string(name);
    const std::string hex = to_hex(bytes_of(ack)) + '\n', json = json_of(ack) + '\n';
    if (std::getenv("LONGHAUL_UPDATE") != nullptr) {
      std::ofstream(place + ".hex", std::ios::binary) << hex;
      std::ofstream(place + ".json", std::ios::binary) << json;
    }
    EXPECT_EQ(text_of(place + ".hex"), hex) << name;
    EXPECT_EQ(text_of(place + ".json"), json) << name;
  }
}

}  // namespace
}  // namespace longhaul::datagram
