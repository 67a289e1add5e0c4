// How a project that knows nothing of longhaul tests its protocol over a simulated ocean.
#include "courier.hpp"

#include "netsim/profile.hpp"
#include "netsim/testing/wan_test.hpp"

namespace {

using namespace std::chrono_literals;
using longhaul::Slice;
using netsim::at;
using netsim::Datagram;
using netsim::endpoint;
using netsim::Time;

// Drives a Courier over a Wan: the few lines that a real program spends on its socket loop.
class Driver : public netsim::DatagramUser {
 public:
  Driver(netsim::Wan& wan, netsim::HostId here, netsim::HostId to)
      : wan_(wan), local_(endpoint(here, 700)), remote_(endpoint(to, 701)) {
    wan_.bind(local_, *this);
  }
  void run() {
    const Time now = wan_.now();
    if (const auto text = courier.poll(now.time_since_epoch()))
      wan_.send({local_, remote_, Slice::copy_of(*text)});
    if (const auto deadline = courier.next_deadline())
      wan_.clock().at(Time(*deadline), [this] { run(); });
  }
  void on_datagram(Time now, const Datagram& datagram) override {
    courier.on_packet(std::string(longhaul::text_of(datagram.payload.bytes())));
    if (courier.done() && !finished) finished = now;
  }
  courier::Courier courier{"parcel", 400ms};
  std::optional<Time> finished;

 private:
  netsim::Wan& wan_;
  netsim::Endpoint local_, remote_;
};

class Receiver : public netsim::DatagramUser {
 public:
  Receiver(netsim::Wan& wan, netsim::HostId here) : wan_(wan) {
    wan.bind(endpoint(here, 701), *this);
  }
  void on_datagram(Time, const Datagram& datagram) override {
    ++received;
    wan_.send({datagram.to, datagram.from, Slice::copy_of("ack")});
  }
  int received = 0;

 private:
  netsim::Wan& wan_;
};

class CourierTest : public netsim::WanTest {};

TEST_F(CourierTest, DeliversInOneRoundTrip) {
  const auto [laptop, site, ocean] = join(netsim::wan_of(150ms));
  Receiver receiver(wan, site);
  Driver driver(wan, laptop, site);
  driver.run();
  wan.run();
  EXPECT_EQ(driver.finished, at(150ms));  // exact: virtual time has no noise
  EXPECT_EQ(driver.courier.sent(), 1);
}

TEST_F(CourierTest, TriesAgainAfterAnOutage) {
  const auto [laptop, site, ocean] = join(netsim::wan_of(150ms));
  Receiver receiver(wan, site);
  Driver driver(wan, laptop, site);
  wan.apply(ocean, netsim::Outage{1s});
  driver.run();
  wan.run();
  EXPECT_EQ(driver.finished, at(400ms + 800ms + 150ms));
}

TEST(Courier, ArrivesOnEverySeedOfABadRoute) {
  const auto profile = netsim::built_in_profile("nyc-asuncion-bad");
  ASSERT_TRUE(profile);
  netsim::for_each_seed(200, [&](std::uint64_t seed) {
    netsim::Wan wan(seed);
    const auto laptop = wan.add_host("laptop"), site = wan.add_host("site");
    wan.connect(laptop, site, profile->link);
    Receiver receiver(wan, site);
    Driver driver(wan, laptop, site);
    driver.run();
    EXPECT_TRUE(wan.run_until([&] { return driver.courier.done(); }, 5min));
    EXPECT_GE(receiver.received, 1);
  });
}

}  // namespace
