#include <gtest/gtest.h>

#include "lib/wire/transfer.hpp"
#include "tests/wire/damage.hpp"
#include "tests/wire/golden.hpp"

namespace longhaul::wire {
namespace {

TEST(TransferMessage, EachSurvivesDamage) {
  for (const GoldenBytes& golden : transfer_golden()) {
    SCOPED_TRACE(golden.name);
    const auto message = decode<TransferMessage>(Bytes(golden.bytes));
    ASSERT_TRUE(message.has_value()) << message.error().message();
    expect_survives_damage(*message);
  }
}

// A count of items costs memory only as items are there: the largest list of the largest records
// announced in a message of a few bytes is refused from what it lacks.
TEST(TransferMessage, AnAnnouncedListMustBeThere) {
  Segment segment;
  ByteVector bytes = encode(TransferMessage(segment));
  bytes.pop_back();  // the count of records, 0
  append(bytes, from_hex("808001").value());
  const auto got = decode<TransferMessage>(Bytes(bytes));
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().kind(), Kind::kMalformed);
  bytes.resize(bytes.size() - 3);
  append(bytes, from_hex("818001").value());  // one more than there may be
  EXPECT_EQ(decode<TransferMessage>(Bytes(bytes)).error().kind(), Kind::kLimit);
}

TEST(TransferMessage, APlaceThatIsNotOnTheListIsRefused) {
  for (unsigned place = std::variant_size_v<TransferMessage>; place < 256; ++place) {
    const ByteVector bytes(40, static_cast<std::byte>(place));
    EXPECT_EQ(decode<TransferMessage>(Bytes(bytes)).error().kind(), Kind::kMalformed) << place;
  }
}

}  // namespace
}  // namespace longhaul::wire
