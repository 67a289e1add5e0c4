#include "proxy/daemon/lines.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "proxy/daemon/run_lines.hpp"

namespace longhaul::daemon {
namespace {

TEST(DaemonLines, AreCutAlikeHoweverTheBytesCome) {
  const std::string text = "{\"a\":1}\n\n{\"b\":2}\nhalf";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    LineReader reader(100);
    ASSERT_TRUE(reader.take(bytes_of(text.substr(0, cut))).has_value());
    ASSERT_TRUE(reader.take(bytes_of(text.substr(cut))).has_value());
    EXPECT_EQ(reader.next(), "{\"a\":1}");
    EXPECT_EQ(reader.next(), "");
    EXPECT_EQ(reader.next(), "{\"b\":2}");
    EXPECT_EQ(reader.next(), std::nullopt);
  }
}

TEST(DaemonLines, RefuseALineThatIsTooLongBeforeItsEndComes) {
  LineReader reader(10);
  EXPECT_TRUE(reader.take(bytes_of("0123456789")).has_value());
  EXPECT_EQ(reader.take(bytes_of("x")).error().message(), "read a line: it is too long");
  LineReader whole(10);
  EXPECT_EQ(whole.take(bytes_of("ok\n0123456789x\n")).error().kind(), Kind::kLimit);
}

TEST(DaemonLines, HoldNoMoreThanSixteenLinesOfAPeerThatDoesNotWait) {
  LineReader reader(10);
  Result<> taken;
  int lines = 0;
  while (taken && lines < 1000) {
    taken = reader.take(bytes_of("012345678\n"));
    ++lines;
  }
  EXPECT_EQ(taken.error().message(), "read a line: too much was sent at once");
  EXPECT_LE(lines, 17);
}

TEST(DaemonLines, BringEveryRequestOver) {
  for (const Request& request :
       {Request{Question::kStatus, "", "", 0}, Request{Question::kRuns, "lab", "", 0},
        Request{Question::kRun, "lab", "a/b \"quoted\"", 0},
        Request{Question::kOrder, "", "", ~std::uint64_t{0}}, Request{Question::kWork, "", "", 0},
        Request{Question::kWithdraw, "", "", 7}, Request{Question::kStop, "", "", 0}}) {
    std::string line = to_line(request);
    ASSERT_EQ(line.back(), '\n');
    line.pop_back();
    EXPECT_EQ(parse_request(line).value(), request) << line;
  }
}

TEST(DaemonLines, SayWhichVersionIsSpoken) {
  const auto other = parse_request(R"({"longhaul_proxy":2,"ask":"status"})");
  EXPECT_EQ(other.error().kind(), Kind::kUnsupported);
  EXPECT_EQ(other.error().message(), "talk to the proxy daemon: it speaks version 1, not 2");
  EXPECT_EQ(other.error().advice(), "`longhaul proxy stop`, then `longhaul proxy start`");
}

TEST(DaemonLines, RefuseWhatAsksNothing) {
  for (const char* line : {"", "[]", "status", R"({"longhaul_proxy":1,"ask":"stat)"})
    EXPECT_FALSE(parse_request(line).has_value()) << line;
  const auto why = [](std::string_view line) {
    const auto request = parse_request(line);
    return request ? "taken" : request.error().why();
  };
  EXPECT_EQ(why("{}"), "it names no version");
  EXPECT_EQ(why(R"({"longhaul_proxy":"x","ask":"status"})"), "it names no version");
  EXPECT_EQ(why(R"({"longhaul_proxy":1})"), "nothing can be asked as ''");
  EXPECT_EQ(why(R"({"longhaul_proxy":1,"ask":"delete"})"), "nothing can be asked as 'delete'");
  for (const char* line :
       {R"({"longhaul_proxy":1,"ask":"runs"})", R"({"longhaul_proxy":1,"ask":"run","site":"lab"})",
        R"({"longhaul_proxy":1,"ask":"status","site":"lab"})"})
    EXPECT_EQ(why(line), "it names not what it asks for") << line;
  EXPECT_EQ(why(R"({"longhaul_proxy":1,"ask":"order"})"), "it names no order");
  EXPECT_EQ(why(R"({"longhaul_proxy":1,"ask":"order","id":-1})"), "it names no order");
  const std::string site(65, 's');
  EXPECT_EQ(why(R"({"longhaul_proxy":1,"ask":"runs","site":")" + site + "\"}"),
            "a name in it is too long");
}

TEST(RunLines, BringAListOverWithValuesThatAreNoNumbers) {
  wire::RunLine run;
  run.name = "group/first";
  run.state = wire::RunState::kEnded;
  run.attempts = 3;
  run.last_step = 1ULL << 60;
  run.began.ns = 17;
  run.wrote.ns = -1;
  run.host = "node \x01";
  run.why = "done";
  run.config = R"({"lr":0.1,"tags":["a/b"]})";
  const double values[] = {0.1, std::numeric_limits<double>::quiet_NaN(),
                           -std::numeric_limits<double>::infinity(), 5e-324};
  for (const double value : values) {
    wire::NamedValue one;
    one.series = "train/loss";
    one.step = 7;
    one.value = value;
    run.values.push_back(one);
  }
  const RunList list{{run, run}, {99}};
  const auto again = parse_run_list(to_text(list));
  ASSERT_TRUE(again.has_value()) << again.error().message();
  ASSERT_EQ(again->runs.size(), 2U);
  EXPECT_EQ(again->heard.ns, 99);
  const wire::RunLine& back = again->runs[1];
  EXPECT_EQ(to_line(back), to_line(run));
  EXPECT_EQ(back.config, run.config);
  EXPECT_EQ(back.wrote.ns, -1);
  EXPECT_TRUE(std::isnan(back.values[1].value));
  EXPECT_EQ(back.values[2].value, values[2]);
  EXPECT_EQ(back.values[3].value, values[3]);
  const std::string text = to_text(list);
  EXPECT_FALSE(parse_run_list(text.substr(0, text.size() - 1)).has_value());
}

}  // namespace
}  // namespace longhaul::daemon
