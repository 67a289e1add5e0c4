#include "lib/cli/progress_line.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

ProgressView half_way() {
  ProgressView view;
  view.title = "push corpus";
  view.done = ByteCount(1'400'000'000);
  view.total = ByteCount(2'800'000'000);
  view.rate = BytesPerSecond(11'900'000);
  view.left = 134s;
  view.raw = ByteCount(1'400'000'000);
  view.on_wire = ByteCount(966'000'000);
  view.limit = "link";
  return view;
}

TEST(ProgressLine, ShowsShareRateTimeCompressionAndLimit) {
  EXPECT_EQ(
      render(half_way(), 200),
      "push corpus  50% 1.4 GB of 2.8 GB  11.9 MB/s  2m14s left  compressed 31%  limit: link");
}

TEST(ProgressLine, TellsWhatWasThereApartFromWhatShrank) {
  ProgressView view = half_way();
  view.present = ByteCount(1'000'000'000);
  view.raw = ByteCount(400'000'000);
  view.on_wire = ByteCount(100'000'000);
  EXPECT_EQ(
      render(view, 200),
      "push corpus  50% 1.4 GB of 2.8 GB  11.9 MB/s  2m14s left  1.0 GB were there  compressed "
      "75%  limit: link");
  view.on_wire = view.raw;  // sent as it is
  EXPECT_EQ(render(view, 200).find("compressed"), std::string::npos);
  view.raw = view.on_wire = ByteCount(0);  // nothing had to be sent
  EXPECT_EQ(render(view, 200).find("compressed"), std::string::npos);
  EXPECT_NE(render(view, 200).find("1.0 GB were there"), std::string::npos);
}

TEST(ProgressLine, SaysWhichPathIsInUse) {
  ProgressView view = half_way();
  view.path = "TLS, UDP is not answered";
  EXPECT_TRUE(render(view, 200).ends_with("limit: link  over TLS, UDP is not answered"));
}

TEST(ProgressLine, ShowsWhatItWaitsForBeforeAllElse) {
  ProgressView view = half_way();
  view.waiting = "connecting, dial gpu:7171: Connection refused";
  EXPECT_EQ(render(view, 70), "waiting: connecting, dial gpu:7171: Connection refused");
  view.rate = BytesPerSecond(0);
  view.left.reset();
  EXPECT_TRUE(render(view, 200).ends_with("compressed 31%")) << render(view, 200);
  EXPECT_EQ(render(view, 200).find("limit"), std::string::npos);
}

TEST(ProgressLine, DropsTheLeastImportantPartsOnANarrowTerminal) {
  EXPECT_EQ(render(half_way(), 60), "push corpus  50% 1.4 GB of 2.8 GB  11.9 MB/s  2m14s left");
  EXPECT_EQ(render(half_way(), 25), "50% 1.4 GB of 2.8 GB");
}

TEST(ProgressLine, DrawsAtMostEightTimesASecond) {
  ProgressLine line(true, 80);
  const Time start{};
  EXPECT_FALSE(line.update(start, half_way()).empty());
  EXPECT_TRUE(line.update(start + 100ms, half_way()).empty());
  EXPECT_TRUE(line.update(start + 125ms, half_way()).starts_with("\r\x1b[K"));
}

TEST(ProgressLine, WritesPlainLinesWhereThereIsNoTerminal) {
  ProgressLine line(false, 200);
  const std::string text = line.update(Time{}, half_way());
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_TRUE(text.ends_with("\n"));
  EXPECT_TRUE(line.update(Time{} + 4s, half_way()).empty());
}

}  // namespace
}  // namespace longhaul::cli
