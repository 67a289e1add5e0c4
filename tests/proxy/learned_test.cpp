// What is remembered of a site and its link between commands.
#include <gtest/gtest.h>

#include "proxy/link_file.hpp"
#include "proxy/site_rates.hpp"

namespace longhaul::proxy {
namespace {

session::LinkMemory link(std::uint64_t rate, Duration rtt) {
  session::LinkMemory memory;
  memory.rate = BytesPerSecond(rate);
  memory.rtt_min = rtt;
  return memory;
}

TEST(LinkFile, AShortSessionDoesNotTakeTheRateBack) {
  const auto known = link(20'000'000, 150ms);  // three million bytes in flight
  EXPECT_EQ(session::worth_keeping(known, link(1'000'000, 140ms), 50'000).rate, known.rate);
  EXPECT_EQ(session::worth_keeping(known, link(1'000'000, 140ms), 50'000).rtt_min, 140ms);
  EXPECT_EQ(session::worth_keeping(known, link(0, 0ms), 0), known);
  EXPECT_EQ(session::worth_keeping(known, link(10'000'000, 150ms), 40'000'000).rate.value(),
            10'000'000U);
  EXPECT_EQ(session::worth_keeping(known, link(30'000'000, 150ms), 50'000).rate.value(),
            30'000'000U);
  EXPECT_EQ(session::worth_keeping({}, link(1'000'000, 140ms), 50'000).rate.value(), 1'000'000U);
}

TEST(SiteRates, ManyFilesTellWhatAFileTakes) {
  SiteRates rates = learned({}, {10, 40ms, {}});
  EXPECT_EQ(rates.publish, 40ms);
  EXPECT_EQ(rates.publish_per_file, SiteRates{}.publish_per_file);
  rates = learned(rates, {10'000, 1040ms, {}});
  EXPECT_EQ(rates.publish, 40ms);
  EXPECT_EQ(rates.publish_per_file, 100us);
  EXPECT_EQ(learned(rates, {1, Duration(INT64_MAX), {}}).publish, 1h);  // a site's word is bounded
}

TEST(SiteRates, TheRateIsTheMeanOfOldAndNew) {
  const SiteRates rates = learned({}, {1, 1ms, BytesPerSecond(2000)});
  EXPECT_EQ(rates.rate.value(), 2000U);
  EXPECT_EQ(learned(rates, {1, 1ms, BytesPerSecond(1000)}).rate.value(), 1500U);
  EXPECT_EQ(learned(rates, {1, 1ms, {}}).rate.value(), 2000U);
}

TEST(SiteRates, SurviveTheirText) {
  SiteRates rates = learned({}, {10'000, 700ms, BytesPerSecond(77)});
  SiteRates back = rates_in(rates_text(rates));
  EXPECT_EQ(back.publish_per_file, rates.publish_per_file);
  EXPECT_EQ(back.rate, rates.rate);
  for (const char* bad : {"", "[site]\npublish_ns = -3\n", "[site]\npublish_ns = \"x\"\n"})
    EXPECT_EQ(rates_in(bad).publish, SiteRates{}.publish) << bad;
}

}  // namespace
}  // namespace longhaul::proxy
