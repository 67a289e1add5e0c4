#include "netsim/trace.hpp"

#include <gmock/gmock.h>

namespace netsim {
namespace {

using namespace longhaul;  // literals
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Trace, ReadsMahimahisFormat) {
  const auto trace = read_trace("# two in the first millisecond\n1\n1\r\n\n5\n10");
  ASSERT_TRUE(trace) << trace.error().message();
  EXPECT_THAT(trace->opportunities, ElementsAre(1ms, 1ms, 5ms, 10ms));
  EXPECT_EQ(trace->period, 10ms);
  EXPECT_EQ(mean_rate(*trace).value(), 4 * 1504 * 100U);
}

TEST(Trace, WritesWhatItReads) {
  const std::string text = "0\n3\n3\n8\n";
  const auto written = write_trace(*read_trace(text));
  ASSERT_TRUE(written);
  EXPECT_EQ(*written, text);
}

TEST(Trace, RefusesToWriteWhatTheFormatCannotSay) {
  EXPECT_FALSE(write_trace({{1ms, 2ms}, 5ms}));
  EXPECT_FALSE(write_trace({{}, 5ms}));
  EXPECT_FALSE(write_trace({{100us}, 100us}));
}

TEST(Trace, NamesTheLineThatIsWrong) {
  for (const auto& [text, why] :
       {std::pair{"1\n5\n4\n", "line 3: time goes back, from 5 ms to 4 ms"},
        {"1\nfast\n", "line 2: not a time"},
        {"1\n-5\n", "line 2: not a time"},
        {"1.5\n", "line 1: not a time"},
        {"99999999999999999999\n", "line 1: not a time"},
        {"", "empty"},
        {"# nothing\n", "empty"},
        {"0\n0\n", "no length"}}) {
    const auto trace = read_trace(text);
    ASSERT_FALSE(trace) << text;
    EXPECT_EQ(trace.error().kind(), Kind::kMalformed);
    EXPECT_THAT(trace.error().message(), HasSubstr(why)) << text;
  }
}

}  // namespace
}  // namespace netsim
