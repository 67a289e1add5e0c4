// Probes of the built-in profiles, whose numbers are known. docs/performance.md has all figures;
// here stand those within the bar, so that they stay there.
#include <gmock/gmock.h>

#include <cmath>

#include "tests/probe/probe_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint32_t kEchoIpBytes = 108;

struct Truth {
  double rate = 0, buffer = 0;  // bits a second, bytes; 0: there is none
};
Truth truth_of(const netsim::DirectionConfig& way) {
  Truth out;
  if (const auto* rate = std::get_if<netsim::ConstantRate>(&way.rate))
    out.rate = static_cast<double>(rate->rate.bits());
  if (way.queue.bytes_max) out.buffer = static_cast<double>(way.queue.bytes_max->value());
  if (way.queue.packets_max) out.buffer = *way.queue.packets_max * 1500.0;
  return out;
}

void expect_way(const probe::WayFigures& found, const netsim::DirectionConfig& way) {
  const Truth truth = truth_of(way);
  ASSERT_TRUE(found.capacity);
  EXPECT_FALSE(found.capacity_is_floor);
  EXPECT_NEAR(found.capacity->value * 8, truth.rate, truth.rate * 0.05);
  if (truth.buffer == 0) {
    EXPECT_TRUE(found.buffer_is_floor);
  } else {
    EXPECT_FALSE(found.buffer_is_floor);
    EXPECT_NEAR(found.buffer->value, truth.buffer, truth.buffer * 0.2);
  }
}

class ProbeProfiles : public testing::TestWithParam<const char*> {};

TEST_P(ProbeProfiles, AreFoundAsTheyAre) {
  const auto link = netsim::built_in_profile(GetParam())->link;
  ProbeWorld world(7, link);
  ASSERT_TRUE(world.run());
  ASSERT_FALSE(world.prober().error());
  const probe::Figures figures = world.figures();
  ASSERT_TRUE(figures.idle);
  EXPECT_NEAR(figures.idle->p50_ms, idle_rtt(7, link, kEchoIpBytes).p50_ms, 1);
  EXPECT_EQ(figures.mtu_bytes, 1500U);
  expect_way(figures.up, link.up);
  expect_way(figures.down, link.down);
}
INSTANTIATE_TEST_SUITE_P(All, ProbeProfiles,
                         testing::Values("nyc-asuncion", "nyc-asuncion-good", "lab-lan",
                                         "pantheon-mexico-california", "pantheon-india",
                                         "pantheon-korea-china", "pantheon-california-mexico"));

TEST(ProbeProfile, SavedIsProbedAsTheSame) {
  for (const char* name : {"nyc-asuncion-good", "pantheon-korea-china"}) {
    SCOPED_TRACE(name);
    ProbeWorld first(7, netsim::built_in_profile(name)->link);
    ASSERT_TRUE(first.run());
    const probe::Figures one = first.figures();
    const auto saved = netsim::profile_from_json(probe::profile_text(one, "home", "a test"));
    ASSERT_TRUE(saved) << saved.error().message();
    ProbeWorld second(8, saved->link);
    ASSERT_TRUE(second.run());
    const probe::Figures two = second.figures();
    EXPECT_NEAR(two.idle->p50_ms, one.idle->p50_ms, 1);
    EXPECT_NEAR(two.up.capacity->value, one.up.capacity->value, one.up.capacity->value * 0.05);
    EXPECT_NEAR(two.down.capacity->value, one.down.capacity->value,
                one.down.capacity->value * 0.05);
    EXPECT_NEAR(two.up.buffer->value, one.up.buffer->value, one.up.buffer->value * 0.2);
  }
}

}  // namespace
}  // namespace longhaul::test
