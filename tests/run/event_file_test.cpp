#include "lib/run/event_file.hpp"

#include <gtest/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::run {
namespace {

constexpr WallTime seconds(std::int64_t s) {
  return {s * 1'000'000'000};
}

TEST(EventFile,
     WritesTheBytesTensorBoardReads) {  // golden bytes: written by TensorFlow's own writer
  EXPECT_EQ(to_hex(event_file_head(seconds(1))),
            "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a3286bf577a");
  EXPECT_EQ(to_hex(scalar_event(seconds(2), 7, "loss", 0.5)),
            "1a00000000000000129bd82d09000000000000004010072a0d0a0b0a046c6f7373150000003fc33fc24a");
  EXPECT_EQ(event_file_name(seconds(1'700'000'000), "node", 42, 0),
            "events.out.tfevents.1700000000.node.42.0");
}

TEST(EventFile, ReadsBackInAnySplit) {
  ByteVector file = event_file_head(seconds(1));
  append(file, session_start_event(seconds(1), 5));
  for (std::uint64_t step = 0; step < 50; ++step)
    append(file, scalar_event(seconds(2), step, "train/loss", 1.5 * static_cast<double>(step)));
  Rng rng(1, "split");
  EventReader reader;
  std::vector<ScalarEvent> scalars;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t more = std::min<std::size_t>(file.size() - at, rng.below(40));
    reader.feed(Bytes(file).subspan(at, more));
    at += more;
    for (;;) {
      const auto found = reader.next();
      ASSERT_TRUE(found.has_value());
      if (!found->has_value()) break;
      scalars.insert(scalars.end(), (*found)->begin(), (*found)->end());
    }
  }
  ASSERT_EQ(scalars.size(), 50U);
  EXPECT_EQ(scalars[49].tag, "train/loss");
  EXPECT_EQ(scalars[49].step, 49U);
  EXPECT_EQ(scalars[49].value, 73.5);
  EXPECT_EQ(scalars[49].at, seconds(2));
}

TEST(EventFile, DamageEndsTheFile) {
  const ByteVector good = scalar_event(seconds(2), 7, "loss", 0.5);
  for (std::size_t i = 0; i < good.size(); ++i) {
    ByteVector bad = good;
    bad[i] ^= std::byte{1};
    EventReader reader;
    reader.feed(bad);
    EXPECT_FALSE(reader.next().has_value()) << "byte " << i;
  }
}

}  // namespace
}  // namespace longhaul::run
