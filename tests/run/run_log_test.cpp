#include "lib/run/run_log.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lib/base/rng.hpp"

namespace longhaul::run {
namespace {

Points some_points(std::size_t count, Rng& rng) {
  Points points;
  points.taken.push_back({3, 1000});
  points.kept.push_back({3, 17, 4});
  for (std::size_t i = 0; i < count; ++i) {
    const double wide = std::bit_cast<double>(rng.next());
    points.points.push_back({SeriesId(static_cast<std::uint32_t>(rng.below(kSeriesMax))),
                             rng.chance(0.5) ? rng.next() : i,
                             WallTime{static_cast<std::int64_t>(rng.next())},
                             rng.chance(0.5) ? static_cast<double>(static_cast<float>(i)) : wide});
  }
  return points;
}

std::vector<LogRecord> a_log() {
  Rng rng(5, "log");
  return {Start{2, WallTime{7}, 4711, {"node17"}, {"{\"lr\":0.1}"}},
          NameSeries{SeriesId(0), {"train/loss"}},
          some_points(40, rng),
          RunEvent{EventKind::kApplied, 900, WallTime{8}, 77, {"ada"}, {"lr=0.01"}},
          Drops{12},
          some_points(1, rng),
          End{WallTime{9}, {"done"}}};
}

std::string shown(const LogRecord& record) {  // all of a record, to compare by
  LogEncoder encoder;
  return to_hex(encoder.frame(record));
}

TEST(RunLog, GivesBackEveryRecordInAnySplit) {
  const auto records = a_log();
  LogEncoder encoder(100);
  ByteVector file;
  std::vector<std::uint64_t> numbers;
  for (const LogRecord& record : records) {
    numbers.push_back(encoder.next());
    append(file, encoder.frame(record));
  }
  EXPECT_EQ(encoder.next(), 100 + 5 + 40 + 1);
  Rng rng(6, "split");
  for (int round = 0; round < 50; ++round) {
    LogDecoder decoder;
    std::size_t at = 0, found = 0;
    while (at < file.size() || found < records.size()) {
      const std::size_t more = std::min(file.size() - at, 1 + rng.below(200));
      decoder.feed(Bytes(file).subspan(at, more));
      at += more;
      while (auto entry = decoder.next()) {
        ASSERT_LT(found, records.size());
        EXPECT_EQ(entry->number, numbers[found]);
        EXPECT_EQ(shown(entry->record), shown(records[found]));
        ++found;
      }
    }
    EXPECT_EQ(decoder.whole_bytes(), file.size());
    EXPECT_EQ(decoder.next_number(), encoder.next());
    EXPECT_EQ(decoder.damaged_bytes(), 0U);
  }
}

TEST(RunLog, TornAtEveryByteItKeepsEveryWholeFrame) {
  const auto records = a_log();
  LogEncoder encoder;
  ByteVector file;
  std::vector<std::size_t> ends;
  for (const LogRecord& record : records) {
    append(file, encoder.frame(record));
    ends.push_back(file.size());
  }
  for (std::size_t cut = 0; cut <= file.size(); ++cut) {
    LogDecoder decoder;
    decoder.feed(Bytes(file).first(cut));
    std::size_t found = 0;
    while (decoder.next()) ++found;
    const auto whole = std::upper_bound(ends.begin(), ends.end(), cut) - ends.begin();
    ASSERT_EQ(found, static_cast<std::size_t>(whole)) << "cut at " << cut;
    ASSERT_EQ(decoder.whole_bytes(), whole == 0 ? 0 : ends[static_cast<std::size_t>(whole) - 1]);
  }
}

TEST(RunLog, ARottedByteCostsItsFrameAlone) {
  const auto records = a_log();
  LogEncoder encoder;
  ByteVector file;
  std::vector<std::size_t> ends;
  for (const LogRecord& record : records) {
    append(file, encoder.frame(record));
    ends.push_back(file.size());
  }
  for (std::size_t at = 0; at < file.size(); ++at) {
    ByteVector rotten = file;
    rotten[at] ^= std::byte{0x20};
    const auto hit =
        static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
    const std::size_t from = hit == 0 ? 0 : ends[hit - 1];
    LogDecoder decoder;
    decoder.feed(rotten);
    std::vector<std::string> found;
    while (auto entry = decoder.next()) found.push_back(shown(entry->record));
    std::vector<std::string> expected;
    for (std::size_t i = 0; i < records.size(); ++i)
      if (i != hit) expected.push_back(shown(records[i]));
    // A length that rotted upwards may ask for more than the file holds: then what is behind waits.
    const bool waits = at - from >= 4 && at - from < 8;
    if (waits) expected.resize(std::min(expected.size(), found.size()));
    ASSERT_EQ(found, expected) << "byte " << at;
    if (hit + 1 < records.size() && !waits) {
      ASSERT_EQ(decoder.damaged_bytes(), ends[hit] - from);
      ASSERT_EQ(decoder.whole_bytes(), file.size());
    }
  }
}

TEST(RunLog, KeepsEveryKindOfNumber) {
  using Limits = std::numeric_limits<double>;
  Points points;
  for (const double value : {0.0, -0.0, 1e-300, Limits::infinity(), -Limits::infinity(),
                             Limits::quiet_NaN(), Limits::denorm_min(), 3.14159, 0.1})
    points.points.push_back({SeriesId(0), 5, WallTime{-1}, value});
  points.points.push_back({SeriesId(1), ~std::uint64_t{0}, WallTime{}, 1});
  points.points.push_back({SeriesId(1), 0, WallTime{}, 1});
  LogEncoder encoder;
  LogDecoder decoder;
  decoder.feed(encoder.frame(points));
  const auto entry = decoder.next();
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(std::get<Points>(entry->record).points, points.points);
}

}  // namespace
}  // namespace longhaul::run
