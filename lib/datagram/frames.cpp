#include "lib/datagram/frames.hpp"

#include <algorithm>

namespace longhaul::datagram {

namespace {
constexpr std::uint64_t kMicrosecondsMax = std::uint64_t{1} << 52;  // fits a Duration

std::uint64_t zigzag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}
std::uint64_t microseconds(Duration span) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, span / 1us));
}
Duration duration(std::uint64_t us) {
  return Duration(std::chrono::microseconds(static_cast<std::int64_t>(us)));
}
}  // namespace

bool AckFrame::contains(PacketNumber number) const {
  for (std::size_t i = 0; i < range_count; ++i) {
    if (number > ranges[i].last) return false;
    if (number >= ranges[i].first) return true;
  }
  return false;
}

void write(wire::Writer& out, const AckFrame& ack) {
  ASSERT(ack.range_count > 0);
  out.byte(static_cast<std::uint8_t>(FrameType::kAck));
  out.varint(ack.largest());
  out.varint(microseconds(ack.held));
  out.varint(microseconds(ack.received));
  out.varint(ack.dropped);
  out.byte(static_cast<std::uint8_t>(ack.range_count - 1));
  out.varint(ack.ranges[0].last - ack.ranges[0].first);
  for (std::size_t i = 1; i < ack.range_count; ++i) {
    out.varint(ack.ranges[i - 1].first - ack.ranges[i].last - 2);  // missing between them, less one
    out.varint(ack.ranges[i].last - ack.ranges[i].first);
  }
  out.byte(static_cast<std::uint8_t>(ack.time_count));
  for (std::size_t i = 0; i < ack.time_count; ++i) out.varint(zigzag(ack.earlier_us[i]));
}

AckFrame read_ack(wire::Reader& in) {
  AckFrame ack;
  ack.ranges[0].last = in.varint(kPacketNumberMax);
  ack.held = duration(in.varint(kMicrosecondsMax));
  ack.received = duration(in.varint(kMicrosecondsMax));
  ack.dropped = in.varint(kPacketNumberMax);
  const std::uint8_t more = in.byte();
  if (more >= kAckRangesMax) in.fail(wire::Fault::kOverLimit);
  if (in.failed()) return {};
  ack.range_count = std::size_t{more} + 1;
  ack.ranges[0].first = ack.ranges[0].last - in.varint(ack.ranges[0].last);
  for (std::size_t i = 1; i < ack.range_count && !in.failed(); ++i) {
    const PacketNumber above = ack.ranges[i - 1].first;
    if (above < 2) {
      in.fail(wire::Fault::kOutOfRange);
      break;
    }
    ack.ranges[i].last = above - 2 - in.varint(above - 2);
    ack.ranges[i].first = ack.ranges[i].last - in.varint(ack.ranges[i].last);
  }
  const std::uint8_t times = in.byte();
  if (times > kAckTimesMax) in.fail(wire::Fault::kOverLimit);
  if (in.failed()) return {};
  ack.time_count = times;
  for (std::size_t i = 0; i < ack.time_count && !in.failed(); ++i) {
    ack.earlier_us[i] = unzigzag(in.varint(kMicrosecondsMax));
  }
  return ack;
}

}  // namespace longhaul::datagram
