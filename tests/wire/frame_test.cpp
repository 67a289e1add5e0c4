#include "lib/wire/frame.hpp"

#include <gtest/gtest.h>

#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"
#include "tests/wire/damage.hpp"

namespace longhaul::wire {
namespace {

Data largest_data() {
  Data data;
  data.message = data.key = ~std::uint64_t{0};
  data.offset = data.total = ~std::uint32_t{0};
  data.payload = Slice::copy_of(ByteVector(kFragmentMax, std::byte{0xab}));
  return data;
}

TEST(Frame, TheLargestFillsOneTlsRecord) {
  ByteVector out(kFrameMax);
  EXPECT_LE(write_frame(out, FrameType::kData, largest_data()), kFrameMax);
}

TEST(Frame, HeaderComesBack) {
  ByteVector out(64);
  const std::size_t size = write_frame(out, FrameType::kPing, Ping{300});
  EXPECT_EQ(to_hex(Bytes(out).first(size)), "070200ac02");
  const auto header = read_frame_header(Bytes(out).first(size));
  ASSERT_TRUE(header.has_value() && header->has_value());
  EXPECT_EQ((*header)->type, 7);
  EXPECT_EQ((*header)->body_bytes, 2);
}

TEST(Frame, AnIncompleteHeaderAsksForMore) {
  const auto header = from_hex("0702").value();
  for (std::size_t size = 0; size <= header.size(); ++size) {
    const auto read = read_frame_header(Bytes(header).first(size));
    ASSERT_TRUE(read.has_value());
    EXPECT_FALSE(read->has_value());
  }
}

TEST(Frame, LongerThanAFrameMayBeIsRefusedFromItsHeader) {
  const auto most = read_frame_header(from_hex("04fd3f").value());
  ASSERT_TRUE(most.has_value());
  EXPECT_EQ((*most)->body_bytes + kFrameHeaderBytes, kFrameMax);
  EXPECT_EQ(read_frame_header(from_hex("04fe3f").value()).error().kind(), Kind::kLimit);
  EXPECT_EQ(read_frame_header(from_hex("04ffff").value()).error().kind(), Kind::kLimit);
}

TEST(Frame, UnknownOptionalTypesAreSkippedAndOthersRefused) {
  for (unsigned type = 0; type < 256; ++type) {
    const auto judged = judge_frame_type(static_cast<std::uint8_t>(type));
    if ((type >= 1 && type <= 12) || type == 129) {
      ASSERT_TRUE(judged.has_value() && judged->has_value()) << type;
      EXPECT_EQ(static_cast<unsigned>(**judged), type);
    } else if (type >= kOptionalFrame) {
      ASSERT_TRUE(judged.has_value()) << type;
      EXPECT_FALSE(judged->has_value());
    } else {
      EXPECT_EQ(judged.error().kind(), Kind::kUnsupported) << type;
    }
  }
}

TEST(Frame, EveryBodySurvivesDamage) {
  Data data;
  data.message = 1000;
  data.total = 9;
  data.payload = Slice::copy_of("payload");
  expect_survives_damage(data);
  Control control;
  control.number = 5;
  control.body = Slice::copy_of("stop");
  expect_survives_damage(control);
  expect_survives_damage(Ack{1, 2, 300});
  expect_survives_damage(Ping{1});
  expect_survives_damage(Pong{~std::uint64_t{0}});
  expect_survives_damage(Goodbye{3, "so long"});
  Hello hello;
  hello.credential = Blob<kCredentialMax>(20, std::byte{1});
  expect_survives_damage(hello);
  expect_survives_damage(Accept{1, 2, 3, 4});
  expect_survives_damage(Refuse{Refusal::kBusy});
  expect_survives_damage(Join{1, {}, "laptop"});
  expect_survives_damage(Joined{Role::kSite, {}, "site"});
}

TEST(Frame, APayloadOfAReceivedSliceIsNotCopied) {
  ByteVector out(kFrameMax);
  const std::size_t size = write_frame(out, FrameType::kData, largest_data());
  const Slice frame = Slice::copy_of(Bytes(out).first(size));
  const auto data = decode<Data>(frame.from(kFrameHeaderBytes));
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(data->payload.data() + data->payload.size(), frame.data() + frame.size());
}

}  // namespace
}  // namespace longhaul::wire
