// A probe of each built-in profile, whose numbers are known.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/probe/probe_world.hpp"

namespace longhaul::test {
namespace {

void show(std::string_view name, const netsim::LinkConfig& link, const probe::Figures& f,
          const IdleRtt& truth, const probe::Prober& prober) {
  fmt::print(
      "{}: rtt {:.2f}/{:.2f} (truth {:.2f}/{:.2f}) p99 {:.1f} loaded {:.1f} prop {:.2f} mtu {} "
      "took {} ms bytes {}/{} cut {}\n",
      name, f.idle->least_ms, f.idle->p50_ms, truth.least_ms, truth.p50_ms, f.idle->p99_ms,
      f.loaded ? f.loaded->p50_ms : 0, f.propagation_ms, f.mtu_bytes, prober.took() / 1ms,
      prober.bytes_up(), prober.bytes_down(), prober.cut_short());
  const auto way = [&](const char* what, const probe::WayFigures& w,
                       const netsim::DirectionConfig& t) {
    const auto rate = std::get_if<netsim::ConstantRate>(&t.rate);
    const double truth_rate = rate ? static_cast<double>(rate->rate.bits()) / 1e6 : 0;
    const double queue = t.queue.bytes_max     ? static_cast<double>(t.queue.bytes_max->value())
                         : t.queue.packets_max ? *t.queue.packets_max * 1500.0
                                               : 0;
    fmt::print(
        "  {} rate {:.2f} [{:.2f} {:.2f}]{} truth {:.2f} buffer {:.0f} [{:.0f} {:.0f}]{} truth "
        "{:.0f} loss {:.5f} [{:.5f} {:.5f}] burst {:.1f} events {} of {} pol {}\n",
        what, w.capacity ? w.capacity->value * 8e-6 : -1, w.capacity ? w.capacity->low * 8e-6 : -1,
        w.capacity ? w.capacity->high * 8e-6 : -1, w.capacity_is_floor ? " floor" : "", truth_rate,
        w.buffer ? w.buffer->value : -1, w.buffer ? w.buffer->low : -1,
        w.buffer ? w.buffer->high : -1, w.buffer_is_floor ? " floor" : "", queue,
        w.loss ? w.loss->value : -1, w.loss ? w.loss->low : -1, w.loss ? w.loss->high : -1,
        w.loss_burst, w.loss_events, w.loss_of, w.policer ? w.policer->rate * 8e-6 : -1);
  };
  way("up  ", f.up, link.up);
  way("down", f.down, link.down);
}

TEST(ProbeProfiles, Show) {
  for (const std::string_view name : netsim::profile_names()) {
    const auto profile = netsim::built_in_profile(name);
    ASSERT_TRUE(profile);
    ProbeWorld world(7, profile->link);
    ASSERT_TRUE(world.run());
    if (world.prober().error()) {
      fmt::print("{}: {}\n", name, world.prober().error()->message());
      continue;
    }
    show(name, profile->link, world.figures(), idle_rtt(7, profile->link, 108), world.prober());
  }
}

}  // namespace
}  // namespace longhaul::test
