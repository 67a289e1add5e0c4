// What happens to a ProductWorld, and how all of it is over in the end.
#include <algorithm>
#include <array>

#include "tests/sim/product_world.hpp"

namespace longhaul::test {

namespace {
constexpr Duration kFaultsWithin = 6s;
}  // namespace

void ProductWorld::after(Duration span, std::function<void()> act) {
  net_->wan.clock().after(span, std::move(act));
}

void ProductWorld::schedule_faults() {
  for (const Fault fault : faults_) {
    const std::uint64_t times = 1 + rng_.below(3);
    for (std::uint64_t i = 0; i < times; ++i)
      after(some(kFaultsWithin), [this, fault] { happen(fault); });
  }
}

Duration ProductWorld::healed_after() const {
  Duration longest = 2s;
  if (has(Fault::kLongOutage)) longest = 10min + 2s;
  if (has(Fault::kLid)) longest = std::chrono::hours(1) + 2s;
  return kFaultsWithin + longest;
}

Duration ProductWorld::lasting(Duration span) const {
  if (!healed_at_) return span;
  return std::clamp<Duration>(span, 1ms, *healed_at_ - net_->wan.now() - 1ms);
}

void ProductWorld::heal() {
  netsim::LinkConfig calm = net_->wan.link(net_->link).config();
  if (has(Fault::kL10Lopsided)) calm.down = calm.up;
  for (netsim::DirectionConfig* way : {&calm.up, &calm.down}) {
    way->loss = netsim::NoLoss{};
    way->delay.jitter = netsim::NoJitter{};
    way->reorder = {};
    way->duplicate = 0;
    way->corrupt = {};
    way->mtu_bytes = 1500;
  }
  calm.events.clear();
  net_->wan.reconfigure(net_->link, calm);
  net_->options.udp_blocked = false;
  under_way_ = !done_;
}

// Of the link as it is before anything happens to it.
Duration ProductWorld::time_for_push() const {
  const auto& way = net_->wan.link(net_->link).config().up;
  BytesPerSecond rate = BytesPerSecond::from_bits(kSlowBits);
  if (const auto* constant = std::get_if<netsim::ConstantRate>(&way.rate)) rate = constant->rate;
  if (way.policer) rate = std::min(rate, way.policer->rate);
  return rate.time_for(ByteCount(tree_bytes_));
}

void ProductWorld::happen(Fault fault) {
  switch (fault) {
    case Fault::kL5Blackout: {
      constexpr std::array kLengths = {Duration(1s), Duration(10s), Duration(60s)};
      return net_->wan.apply(net_->link,
                             netsim::Outage{lasting(kLengths[rng_.below(kLengths.size())])});
    }
    case Fault::kL6HalfOpen: {
      const auto way = rng_.chance(0.5) ? netsim::Direction::kUp : netsim::Direction::kDown;
      return net_->wan.apply(net_->link, netsim::Partition{way, lasting(1s + some(30s))});
    }
    case Fault::kL11Cut: {
      Node& node = rng_.chance(0.5) ? net_->laptop : net_->site;
      if (node.session == nullptr) return;
      if (rng_.chance(0.2)) return node.cut_streams();
      return node.reset_one(rng_.chance(0.5) ? session::PathRole::kBulk
                                             : session::PathRole::kControl);
    }
    case Fault::kL16Clock: {
      Node& node = rng_.chance(0.5) ? net_->laptop : net_->site;
      constexpr std::array kLeaps = {Duration(10min), Duration(std::chrono::hours(23))};
      if (rng_.chance(0.5)) {
        // With an hour of sleep, a leap of 23 hours would be the day after which a session ends;
        // so would be two of them while the link is away for long (seed 625 on datagrams).
        const bool short_leaps = has(Fault::kLid) || has(Fault::kLongOutage);
        node.clock_ahead += kLeaps[rng_.below(short_leaps ? 1 : kLeaps.size())];
      } else {
        node.clock_ppm = 500;
      }
      return node.wake();
    }
    case Fault::kL7Pmtu:
      return net_->wan.apply(net_->link, netsim::PmtuDrop{1400, lasting(1s + some(60s))});
    case Fault::kL8Route:
    case Fault::kL8FarRoute: {
      const Duration longer = fault == Fault::kL8Route ? Duration(17ms) : Duration(140ms);
      net_->wan.apply(net_->link, netsim::RouteStep{longer});
      return after(lasting(1s + some(20s)),
                   [this, longer] { net_->wan.apply(net_->link, netsim::RouteStep{-longer}); });
    }
    case Fault::kL9Rate: {
      const auto set = [this](std::uint64_t bits) {
        for (const netsim::Direction way : netsim::kBothWays)
          net_->wan.apply(
              net_->link,
              netsim::RateStep{way, netsim::ConstantRate{BytesPerSecond::from_bits(bits)}});
      };
      set(kSlowBits);
      return after(lasting(1s + some(20s)), [set] { set(kFastBits); });
    }
    case Fault::kL13Rebinding:
      return net_->wan.apply(net_->link, netsim::Rebind{rng_.chance(0.5)});
    case Fault::kL17Stale:
      add_stranger();
      return replay_datagrams();
    default:
      return happen_to_hosts(fault);
  }
}

void ProductWorld::happen_to_hosts(Fault fault) {
  switch (fault) {
    case Fault::kUdpDies:
      net_->options.udp_blocked = true;
      return after(lasting(1s + some(20s)), [this] { net_->options.udp_blocked = false; });
    case Fault::kLongOutage:
      return net_->wan.apply(net_->link, netsim::Outage{10min});
    case Fault::kLid:
      net_->wan.apply(net_->link, netsim::Outage{std::chrono::hours(1)});
      return net_->laptop.sleep_for(std::chrono::hours(1));
    default:
      return;  // a property of the link, there from the start
  }
}

// Old datagrams once more, as they were, from where they came and from elsewhere, and with a bit
// flipped.
void ProductWorld::replay_datagrams() {
  for (netsim::Datagram datagram : first_datagrams_) {
    net_->wan.send(datagram);
    datagram.from.port = static_cast<std::uint16_t>(datagram.from.port + 1);
    net_->wan.send(datagram);
    const std::size_t size = datagram.payload.size();
    Buffer changed(size);
    std::copy_n(datagram.payload.data(), size, changed.bytes().data());
    changed.bytes()[rng_.below(size)] ^= std::byte{1};
    datagram.payload = std::move(changed).freeze(size);
    net_->wan.send(datagram);
  }
}

}  // namespace longhaul::test
