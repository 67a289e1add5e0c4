// Trains: what leaves a link must be what the sender's kernel would have sent segment by segment.
// Checksums are verified here by a second, slow implementation.
#include "netsim/emulator/train.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "lib/base/rng.hpp"

namespace netsim::emulator {
namespace {

using longhaul::ByteVector;
using longhaul::load_be;
using longhaul::store_be;

constexpr std::uint16_t kMss = 1448;

// RFC 1071 word by word, nothing shared with the code under test.
std::uint16_t slow_sum(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
    sum += std::uint32_t{bytes[i]} * 256 + low;
    if (sum > 0xFFFF) sum -= 0xFFFF;
  }
  return static_cast<std::uint16_t>(sum);
}

std::uint8_t at(Bytes packet, std::size_t i) {
  return std::to_integer<std::uint8_t>(packet[i]);
}

::testing::AssertionResult checksums_are_right(Bytes packet) {
  const bool v6 = at(packet, 0) >> 4 == 6;
  const std::size_t network = v6 ? 40 : 20;
  if (!v6) {
    std::vector<std::uint8_t> ip;
    for (std::size_t i = 0; i < network; ++i) ip.push_back(at(packet, i));
    if (slow_sum(ip) != 0xFFFF) return ::testing::AssertionFailure() << "IP header checksum";
  }
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = v6 ? 8 : 12; i < network; ++i) bytes.push_back(at(packet, i));
  const std::size_t transport = packet.size() - network;
  bytes.insert(bytes.end(), {0, at(packet, v6 ? 6 : 9), static_cast<std::uint8_t>(transport >> 8),
                             static_cast<std::uint8_t>(transport & 0xFF)});
  for (std::size_t i = network; i < packet.size(); ++i) bytes.push_back(at(packet, i));
  if (slow_sum(bytes) != 0xFFFF) return ::testing::AssertionFailure() << "transport checksum";
  return ::testing::AssertionSuccess();
}

struct Shape {
  bool v6;
  std::uint8_t protocol;
  std::size_t payload;
  std::uint16_t gso;  // 0: a single packet
};

// As a kernel hands it over: lengths of the whole, a partial checksum.
ByteVector make_packet(const Shape& shape, std::uint8_t tcp_flags = 0x18) {
  const std::size_t network = shape.v6 ? 40 : 20, transport = shape.protocol == kTcp ? 32 : 8;
  ByteVector out(network + transport + shape.payload);
  longhaul::Rng(7, "payload").fill(MutableBytes(out).subspan(network + transport));
  const MutableBytes ip(out);
  if (shape.v6) {
    ip[0] = std::byte{0x60};
    store_be(ip.subspan(4), static_cast<std::uint16_t>(out.size() - 40));
    ip[6] = std::byte{shape.protocol};
    ip[7] = std::byte{64};
    ip[23] = std::byte{0x0A};
    ip[39] = std::byte{0x0B};
  } else {
    ip[0] = std::byte{0x45};
    ip[1] = std::byte{0x02};  // ECT(0)
    store_be(ip.subspan(2), static_cast<std::uint16_t>(out.size()));
    store_be(ip.subspan(4), std::uint16_t{0xFFFE});  // the id wraps within the train
    ip[8] = std::byte{64};
    ip[9] = std::byte{shape.protocol};
    store_be(ip.subspan(12), std::uint32_t{0xC6120001});
    store_be(ip.subspan(16), std::uint32_t{0xC6120002});
    fill_ip_checksum(ip);
  }
  const MutableBytes head = ip.subspan(network);
  store_be(head, std::uint16_t{5201});
  store_be(head.subspan(2), std::uint16_t{40'000});
  if (shape.protocol == kTcp) {
    store_be(head.subspan(4), std::uint32_t{0xFFFFFF00});  // so does the sequence number
    head[12] = std::byte{0x80};                            // 32 bytes of header
    head[13] = std::byte{tcp_flags};
  } else {
    store_be(head.subspan(4), static_cast<std::uint16_t>(transport + shape.payload));
  }
  return out;
}

Buffer framed(const ByteVector& packet, const VirtioHeader& offload) {
  Buffer out(sizeof offload + packet.size());
  std::memcpy(out.data(), &offload, sizeof offload);
  std::copy(packet.begin(), packet.end(), out.data() + sizeof offload);
  return out;
}

Train make_train(const Shape& shape, std::uint8_t tcp_flags = 0x18) {
  const ByteVector packet = make_packet(shape, tcp_flags);
  VirtioHeader offload;
  offload.flags = kNeedsChecksum;
  offload.csum_start = shape.v6 ? 40 : 20;
  offload.csum_offset = shape.protocol == kTcp ? 16 : 6;
  offload.hdr_len = 4321;  // senders get it wrong, so it must not matter
  offload.gso_size = shape.gso;
  if (shape.gso > 0)
    offload.gso_type = shape.protocol == kUdp ? kGsoUdp : shape.v6 ? kGsoTcp6 : kGsoTcp4;
  auto train = Train::of(framed(packet, offload), packet.size());
  EXPECT_TRUE(train.has_value());
  return *std::move(train);
}

ByteVector segment(const Train& train, std::uint32_t k, bool ce = false) {
  ByteVector out(train.segment_bytes(k));
  EXPECT_EQ(train.write_segment(k, ce, out), out.size());
  return out;
}

class EveryTrain : public ::testing::TestWithParam<Shape> {};

TEST_P(EveryTrain, SegmentsHaveRightLengthsAndChecksums) {
  const Train train = make_train(GetParam());
  const std::size_t network = GetParam().v6 ? 40 : 20;
  std::size_t payload = 0;
  for (std::uint32_t k = 0; k < train.segments(); ++k) {
    const ByteVector packet = segment(train, k, k % 2 == 1);
    EXPECT_TRUE(checksums_are_right(packet)) << "segment " << k;
    EXPECT_TRUE(has_right_checksums(packet, train.layout())) << "segment " << k;
    const auto total = GetParam().v6 ? load_be<std::uint16_t>(Bytes(packet).subspan(4)) + 40U
                                     : load_be<std::uint16_t>(Bytes(packet).subspan(2));
    EXPECT_EQ(total, packet.size());
    const auto udp_length = load_be<std::uint16_t>(Bytes(packet).subspan(network + 4));
    EXPECT_TRUE(GetParam().protocol == kTcp || udp_length == packet.size() - network);
    payload += packet.size() - train.layout().header_bytes;
  }
  EXPECT_EQ(payload, GetParam().payload);
}

TEST_P(EveryTrain, TrainsCutAnywhereCarryTheSamePayload) {
  const Train train = make_train(GetParam());
  const Bytes whole = train.bytes().subspan(train.layout().header_bytes);
  for (std::uint32_t first = 0; first < train.segments(); ++first) {
    ByteVector joined;
    longhaul::append(joined, train.payload(0, first));
    longhaul::append(joined, train.payload(first, train.segments() - first));
    EXPECT_TRUE(longhaul::equal(joined, whole)) << "cut before " << first;
  }
}

// The receiving kernel completes a partial sum; done here by hand, it must come out right.
TEST_P(EveryTrain, CutSegmentsHaveRightPartialChecksums) {
  const Train train = make_train(GetParam());
  if (train.segments() == 1) return;  // handed on as it came
  for (std::uint32_t k = 0; k < train.segments(); ++k) {
    const Cut cut = train.cut(k, 1, false);
    ByteVector packet(cut.header.begin(),
                      cut.header.begin() + static_cast<std::ptrdiff_t>(cut.header_bytes));
    longhaul::append(packet, train.payload(k, 1));
    ASSERT_EQ(cut.offload.flags, kNeedsChecksum);
    EXPECT_EQ(cut.offload.gso_type, kGsoNone);
    EXPECT_EQ(cut.offload.hdr_len, train.layout().header_bytes);
    std::vector<std::uint8_t> rest;
    for (std::size_t i = cut.offload.csum_start; i < packet.size(); ++i)
      rest.push_back(at(packet, i));
    std::uint16_t sum = static_cast<std::uint16_t>(~slow_sum(rest));
    if (sum == 0 && GetParam().protocol == kUdp) sum = 0xFFFF;
    store_be(
        MutableBytes(packet).subspan(std::size_t{cut.offload.csum_start} + cut.offload.csum_offset),
        sum);
    EXPECT_TRUE(checksums_are_right(packet)) << "segment " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, EveryTrain,
                         ::testing::Values(Shape{false, kTcp, 44 * kMss, kMss},
                                           Shape{true, kTcp, 43 * 1428, 1428},
                                           Shape{false, kTcp, 2 * kMss + 1, kMss},
                                           Shape{false, kUdp, 20 * 1472, 1472},
                                           Shape{true, kUdp, 3 * 1452 + 7, 1452},
                                           Shape{false, kTcp, 0, 0}, Shape{false, kTcp, 100, kMss},
                                           Shape{true, kUdp, 1200, 0}, Shape{false, kUdp, 0, 0}));

TEST(Train, SegmentsContinueSequenceAndId) {
  const Train train = make_train({false, kTcp, 4 * kMss, kMss});
  ASSERT_EQ(train.segments(), 4U);
  for (std::uint32_t k = 0; k < 4; ++k) {
    const ByteVector packet = segment(train, k);
    EXPECT_EQ(load_be<std::uint32_t>(Bytes(packet).subspan(24)), 0xFFFFFF00U + k * kMss);
    EXPECT_EQ(load_be<std::uint16_t>(Bytes(packet).subspan(4)),
              static_cast<std::uint16_t>(0xFFFEU + k));
  }
}

TEST(Train, FinAndPushStayOnTheLastSegmentAndCwrOnTheFirst) {
  const Train train = make_train({false, kTcp, 3 * kMss, kMss}, 0x80 | 0x10 | 0x08 | 0x01);
  const auto flags = [](Bytes header) { return at(header, 20 + 13); };
  EXPECT_EQ(flags(segment(train, 0)), 0x90);
  EXPECT_EQ(flags(segment(train, 1)), 0x10);
  EXPECT_EQ(flags(segment(train, 2)), 0x19);
  const Cut head = train.cut(0, 2, false), tail = train.cut(1, 2, false);
  EXPECT_EQ(flags(Bytes(head.header)), 0x90);
  EXPECT_EQ(head.offload.gso_type, kGsoTcp4 | kGsoEcn);
  EXPECT_EQ(flags(Bytes(tail.header)), 0x19);
  EXPECT_EQ(tail.offload.gso_type, kGsoTcp4);
  EXPECT_EQ(tail.offload.gso_size, kMss);
}

TEST(Train, CongestionMarksHitTheSegmentsAsked) {
  const Train train = make_train({false, kTcp, 3 * kMss, kMss});
  EXPECT_EQ(ecn_of(segment(train, 1, true)), Ecn::kCe);
  EXPECT_EQ(ecn_of(segment(train, 1, false)), Ecn::kEct0);
  const Train six = make_train({true, kTcp, 3 * kMss, kMss});
  EXPECT_EQ(ecn_of(segment(six, 2, true)), Ecn::kCe);
}

TEST(Train, WhatIsKeptOfItIsUnchanged) {
  const Train whole = make_train({false, kTcp, 5 * kMss + 7, kMss});
  Train cut = make_train({false, kTcp, 5 * kMss + 7, kMss});
  cut.keep_first(3);
  EXPECT_EQ(cut.bytes().size(), whole.layout().header_bytes + 3U * kMss);
  for (std::uint32_t k = 0; k < 3; ++k) EXPECT_EQ(segment(cut, k), segment(whole, k)) << k;
  const Cut left = cut.cut(1, 2, false), right = whole.cut(1, 2, false);
  EXPECT_TRUE(longhaul::equal(Bytes(left.header).first(left.header_bytes),
                              Bytes(right.header).first(right.header_bytes)));
}

TEST(Train, RefusesWhatIsNoPacket) {
  const auto of = [](ByteVector bytes, VirtioHeader offload) {
    return Train::of(framed(bytes, offload), bytes.size()).has_value();
  };
  const ByteVector packet = make_packet({false, kTcp, 3000, 0});
  EXPECT_TRUE(of(packet, {}));
  for (std::size_t size = 0; size < 52; ++size)  // cut off within its headers
    EXPECT_FALSE(
        of(ByteVector(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)), {}));
  EXPECT_FALSE(of(ByteVector(60, std::byte{0x50}), {}));  // IP version 5
  VirtioHeader udp_train;
  udp_train.gso_type = kGsoUdp;
  udp_train.gso_size = 1000;
  EXPECT_FALSE(of(packet, udp_train));  // of a TCP packet
  VirtioHeader outside;
  outside.flags = kNeedsChecksum;
  outside.csum_start = 3060;
  EXPECT_FALSE(of(packet, outside));
  outside.csum_start = 0;  // over the IP header
  EXPECT_FALSE(of(packet, outside));
  outside.csum_start = 20;
  outside.csum_offset = 12;  // over the length of the TCP header
  EXPECT_FALSE(of(packet, outside));
  outside.csum_offset = 16;
  EXPECT_TRUE(of(packet, outside));
  outside.csum_start = 100;  // a tunnel's inner packet
  EXPECT_TRUE(of(packet, outside));
}

TEST(Train, FragmentsAndUnknownProtocolsPassUntouched) {
  ByteVector packet = make_packet({false, kUdp, 500, 0});
  store_be(MutableBytes(packet).subspan(6), std::uint16_t{0x2010});  // a fragment
  fill_ip_checksum(packet);
  const auto train = Train::of(framed(packet, {}), packet.size());
  ASSERT_TRUE(train);
  EXPECT_EQ(train->layout().transport, 0);
  EXPECT_TRUE(longhaul::equal(segment(*train, 0), packet));
}

}  // namespace
}  // namespace netsim::emulator
