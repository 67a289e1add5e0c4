#include "netsim/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "netsim/quantity.hpp"
#include "tests/netsim/random_link.hpp"

namespace netsim {
namespace {

using namespace std::chrono_literals;
using longhaul::Kind;
using testing::HasSubstr;

std::string why_not(const auto& result) {
  return result.has_value() ? std::string("(accepted)") : result.error().message();
}

Result<LinkConfig> set(std::initializer_list<const char*> words, LinkConfig base = {}) {
  std::vector<Assignment> all;
  for (const char* word : words) all.push_back(TRY(parse_assignment(word)));
  return with(base, all);
}

TEST(Quantity, ReadsDurationsExactly) {
  EXPECT_EQ(*parse_duration("150ms"), 150ms);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("2min"), 2min);
  EXPECT_EQ(*parse_duration("0.1us"), 100ns);
  EXPECT_EQ(*parse_duration("0"), 0ns);
  EXPECT_EQ(*parse_signed_duration("-5ms"), -5ms);
}

TEST(Quantity, RefusesDurationsThatAreNone) {
  for (const char* text : {"", "5", "ms", "-5ms", "5 ms", " 5ms", "5msx", "1e3ms", ".5s", "5.s",
                           "0.1ns", "1e", "9999999999999h", "99999999999999999999s", "nan", "+1s"})
    EXPECT_FALSE(parse_duration(text)) << text;
  EXPECT_EQ(parse_duration("5").error().kind(), Kind::kUsage);
  EXPECT_EQ(why_not(parse_duration("5")),
            "read duration '5': the unit is one of ns, us, ms, s, min, h");
}

TEST(Quantity, ReadsRatesInBitsAndBytes) {
  EXPECT_EQ(parse_rate_value("100mbit")->value(), 12'500'000U);
  EXPECT_EQ(parse_rate_value("100Mbit/s")->value(), 12'500'000U);
  EXPECT_EQ(parse_rate_value("12.5MB/s")->value(), 12'500'000U);
  EXPECT_EQ(parse_rate_value("0.57mbit")->value(), 71'250U);
  EXPECT_EQ(parse_rate_value("1MiB/s")->value(), 1'048'576U);
  for (const char* text :
       {"0mbit", "100", "100mbps", "12MB", "-1mbit", "3bit", "9e9gbit", "99999gbit"})
    EXPECT_FALSE(parse_rate_value(text)) << text;
}

TEST(Quantity, ReadsSizesAndShares) {
  EXPECT_EQ(parse_size("512KiB")->value(), 524'288U);
  EXPECT_EQ(parse_size("1.5kB")->value(), 1500U);
  EXPECT_FALSE(parse_size("1.5B"));
  EXPECT_EQ(*parse_share("1%"), 0.01);
  EXPECT_EQ(*parse_share("0.05%"), 0.0005);
  EXPECT_EQ(*parse_share("7%"), 0.07);
  EXPECT_EQ(*parse_share("1e-6"), 1e-6);
  for (const char* text :
       {"101%", "1.01", "-1%", "%", "", "nan", "inf", "0x1p3", "1%%", "1e%", "1e999%"})
    EXPECT_FALSE(parse_share(text)) << text;
}

TEST(Quantity, PrintsWhatPeopleWouldWrite) {
  EXPECT_EQ(to_text(Duration(158'500us)), "158.5ms");
  EXPECT_EQ(to_text(Duration(90s)), "90s");
  EXPECT_EQ(to_text(Duration(1h)), "1h");
  EXPECT_EQ(to_text(Duration(-17ms)), "-17ms");
  EXPECT_EQ(to_text(BytesPerSecond::from_bits(300'000'000)), "300mbit");
  EXPECT_EQ(to_text(ByteCount(3'750'000)), "3750000B");
  EXPECT_EQ(to_text(ByteCount(1U << 20)), "1MiB");
  EXPECT_EQ(share_text(0.0005), "0.05%");
}

TEST(Spec, ReadsLossModels) {
  EXPECT_EQ(*parse_loss("1%"), LossConfig(BernoulliLoss{0.01}));
  EXPECT_EQ(*parse_loss("0%"), LossConfig(NoLoss{}));
  EXPECT_EQ(*parse_loss("ge:0.8%/12"), LossConfig(GilbertElliottLoss::of(0.008, 12)));
  EXPECT_EQ(*parse_loss("nth:1000"), LossConfig(NthLoss{1000}));
  EXPECT_EQ(*parse_loss("pattern:0010"), LossConfig(TraceLoss{{0, 0, 1, 0}}));
  EXPECT_EQ(*parse_loss("4state:1%/50%/0/1/0.1%"),
            LossConfig(FourStateLoss{0.01, 0.5, 0, 1, 0.001}));
  for (const char* text : {"-1%", "150%", "ge:1%", "ge:1%/0.5", "ge:99%/1", "nth:0",
                           "pattern:", "pattern:012", "4state:1%/1%", "trace:x", "some"})
    EXPECT_FALSE(parse_loss(text)) << text;
}

TEST(Spec, MeasuresQueuesAgainstRateAndRtt) {
  const QueueContext context{ConstantRate{BytesPerSecond::from_bits(100'000'000)}, 160ms};
  EXPECT_EQ(parse_queue("1bdp", context)->bytes_max, ByteCount(2'000'000));
  EXPECT_EQ(parse_queue("100ms", context)->bytes_max, ByteCount(1'250'000));
  EXPECT_EQ(parse_queue("1000p", context)->packets_max, 1000U);
  EXPECT_THAT(why_not(parse_queue("1bdp", {})), HasSubstr("needs a rate"));
  EXPECT_THAT(why_not(parse_queue("10GiB", context)), HasSubstr("from 1B to 1GiB"));
  const auto codel = *parse_queue("512KiB,codel:10ms/200ms,ecn", context);
  EXPECT_EQ(codel.discipline, decltype(codel.discipline)(CoDel{10ms, 200ms}));
  EXPECT_TRUE(codel.ecn);
  for (const char* text : {"", "0B", "0ms", "1bdp,1bdp", "codel,pie", "red", "ecn", "unlimited,5p",
                           "codel:1ms", "-1bdp", "1p,2p", "1KiB,"})
    EXPECT_FALSE(parse_queue(text, context)) << text;
}

TEST(Settings, MakesAllAssignmentsAtOnce) {
  const LinkConfig link = *set({"queue=1bdp", "down.rate=20mbit", "rate=50mbit", "rtt=200ms"});
  EXPECT_EQ(link.up.delay.base, 100ms);
  EXPECT_EQ(link.up.rate, RateConfig(ConstantRate{BytesPerSecond::from_bits(50'000'000)}));
  EXPECT_EQ(link.down.rate, RateConfig(ConstantRate{BytesPerSecond::from_bits(20'000'000)}));
  EXPECT_EQ(link.up.queue.bytes_max, ByteCount(1'250'000));
  EXPECT_EQ(link.down.queue.bytes_max, ByteCount(500'000));
}

TEST(Settings, KeepsAQueueInBytesWhenOnlyTheRateChanges) {
  const LinkConfig before = *set({"rate=100mbit", "queue=100ms"});
  const LinkConfig after = *set({"rate=10mbit"}, before);
  EXPECT_EQ(after.up.queue.bytes_max, before.up.queue.bytes_max);
}

TEST(Settings, RefusesNonsenseInOneLine) {
  EXPECT_EQ(why_not(set({"loss=-1%"})),
            "read loss '-1%': a share is between 0% and 100%, as 1% or 0.01");
  EXPECT_THAT(why_not(set({"rate=0mbit"})), HasSubstr("at least 8bit"));
  EXPECT_THAT(why_not(set({"rtt=1s", "rtt=2s"})), HasSubstr("given twice"));
  EXPECT_THAT(why_not(set({"rtt=1s", "delay=2s"})), HasSubstr("rtt is given too"));
  EXPECT_THAT(why_not(set({"up.rtt=1s"})), HasSubstr("use delay"));
  EXPECT_THAT(why_not(set({"latency=1s"})), HasSubstr("no such key"));
  EXPECT_THAT(why_not(set({"rate=slots:1s:5ms/3ms"})), HasSubstr("times go back"));
  EXPECT_THAT(why_not(set({"rate=slots:1ms:5ms"})), HasSubstr("before the last slot"));
  EXPECT_THAT(why_not(set({"correlation=100%"})), HasSubstr("under 100%"));
  EXPECT_THAT(why_not(set({"x\n=1"})), Not(HasSubstr("\n")));
}

TEST(Settings, OpensTraceFilesOnlyThroughTheCaller) {
  TraceFiles files;
  files.rate = [](std::string_view path) -> Result<TraceRate> {
    EXPECT_EQ(path, "/tmp/x:y");
    return TraceRate{{1ms, 2ms}, 2ms};
  };
  EXPECT_EQ(*parse_rate("trace:/tmp/x:y", files), RateConfig(TraceRate{{1ms, 2ms}, 2ms}));
  EXPECT_THAT(why_not(parse_rate("trace:/tmp/x")), HasSubstr("only be named at the start"));
}

TEST(Settings, ReadsEvents) {
  EXPECT_EQ(*parse_event("at 1h every 30min outage 2s"), (Event{1h, 30min, Outage{2s}}));
  EXPECT_EQ(*parse_event("at 5s route -17ms"), (Event{5s, {}, RouteStep{-17ms}}));
  EXPECT_EQ(*parse_happening("partition up 10s"), Happening(Partition{Direction::kUp, 10s}));
  EXPECT_EQ(*parse_happening("pmtu 1400 10s"), Happening(PmtuDrop{1400, 10s}));
  EXPECT_EQ(*parse_happening("rebind address"), Happening(Rebind{true}));
  for (const char* text : {"", "outage", "outage 0", "outage -1s", "partition both 1s", "pmtu 9 1s",
                           "rate 1mbit", "outage 1s 2s", "explode"})
    EXPECT_FALSE(parse_happening(text)) << text;
  EXPECT_FALSE(parse_event("outage 2s"));
  EXPECT_FALSE(parse_event("at 1s every 0 outage 2s"));
}

TEST(Settings, JsonRoundTripsForRandomLinks) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    longhaul::Rng rng(seed, "settings");
    const LinkConfig link = random_link(rng);
    const std::string json = to_json(link);
    const auto back = link_from_json(json);
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().message() << "\n" << json;
    ASSERT_EQ(*back, link) << "seed " << seed << "\n" << json;
    ASSERT_EQ(to_json(*back), json) << "seed " << seed;
  }
}

TEST(Settings, JsonIsReadableAndShort) {
  LinkConfig link = *set({"rtt=158ms", "down.rate=100mbit", "loss=ge:0.05%/5"});
  link.events = {Event{1h, 1h, Outage{2s}}};
  EXPECT_EQ(to_json(link), R"({"up":{"delay":"79ms","loss":"ge:0.05%/5"},)"
                           R"("down":{"delay":"79ms","loss":"ge:0.05%/5","rate":"100mbit"},)"
                           R"("events":["at 1h every 1h outage 2s"]})");
  EXPECT_EQ(to_json(LinkConfig{}), "{}");
}

TEST(Settings, JsonRefusesWhatItDoesNotKnow) {
  for (const char* json :
       {"", "[]", "{", "null", R"({"rtt":150})", R"({"rtt":"1s","rtt":"2s"})",
        R"({"up":{"rtt":"1s"}})", R"({"up":{"colour":"red"}})", R"({"up":[]})", R"({"events":{}})",
        R"({"events":[1]})", R"({"events":["outage 1s"]})", R"({"rtt":"150ms"} x)",
        R"({"up":{"up":{"delay":"1s"}}})", R"({"a":[[[[[[[[[[[[1]]]]]]]]]]]]})"})
    EXPECT_EQ(why_not(link_from_json(json)).find("(accepted)"), std::string::npos) << json;
  EXPECT_THAT(why_not(link_from_json(R"({"rtt":"150ms","colour":"red"})")), HasSubstr("'colour'"));
}

TEST(Control, RequestsRoundTrip) {
  const std::vector<std::string> words{"set", "rtt=300ms", "up.loss=1%"};
  const auto request = *request_from_words(words);
  EXPECT_EQ(to_json(request), R"({"set":{"rtt":"300ms","up.loss":"1%"}})");
  EXPECT_EQ(*request_from_json(to_json(request)), request);
  const std::vector<std::string> outage{"outage", "30s"};
  EXPECT_EQ(*request_from_words(outage), ControlRequest(DoRequest{"outage 30s"}));
  const std::vector<std::string> get{"get", "counters"};
  EXPECT_EQ(to_json(*request_from_words(get)), R"({"get":"counters"})");
  for (const char* line : {"", "{}", R"({"set":{}})", R"({"set":{"rtt":1}})", R"({"do":1})",
                           R"({"x":"y"})", R"({"get":"a","do":"b"})"})
    EXPECT_FALSE(request_from_json(line)) << line;
}

TEST(Control, RepliesRoundTrip) {
  EXPECT_EQ(parse_reply(ok_reply(R"({"lost":3})"))->text, R"({"lost":3})");
  const auto refused = *parse_reply(error_reply(parse_duration("5").error()));
  EXPECT_FALSE(refused.ok);
  EXPECT_THAT(refused.text, HasSubstr("the unit is one of"));
  EXPECT_FALSE(parse_reply("{}"));
}

}  // namespace
}  // namespace netsim
