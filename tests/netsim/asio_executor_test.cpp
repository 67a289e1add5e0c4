#include "netsim/asio_executor.hpp"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "netsim/testing/wan_test.hpp"

namespace netsim {
namespace {

namespace asio = boost::asio;
using namespace longhaul;  // literals
using namespace asio::experimental::awaitable_operators;

class VirtualAsio : public WanTest {
 protected:
  VirtualContext context{wan.clock()};
};

// As a product would write it: an any_io_executor is all it knows.
asio::awaitable<void> tick(VirtualContext& context, int times, std::vector<Duration>& out) {
  for (int i = 0; i < times; ++i) {
    co_await sleep_for(context, 10ms);
    out.push_back(context.clock().now().time_since_epoch());
  }
}

TEST_F(VirtualAsio, CoroutinesSleepInVirtualTime) {
  std::vector<Duration> ticks;
  const asio::any_io_executor executor = context.executor();
  asio::co_spawn(executor, tick(context, 3, ticks), asio::detached);
  wan.run();
  EXPECT_THAT(ticks, testing::ElementsAre(10ms, 20ms, 30ms));
}

asio::awaitable<void> race(VirtualContext& context, std::size_t& winner) {
  const auto result = co_await (sleep_for(context, 5s) || sleep_for(context, 2s));
  winner = result.index();
}

TEST_F(VirtualAsio, CancellationEndsTheSleepOfTheLoser) {
  std::size_t winner = 99;
  asio::co_spawn(context.executor(), race(context, winner), asio::detached);
  wan.run();
  EXPECT_EQ(winner, 1U);
  EXPECT_EQ(wan.now(), at(2s));
}

TEST_F(VirtualAsio, ADestroyedTimerAbortsItsWaits) {
  boost::system::error_code seen;
  {
    VirtualTimer timer(context, 1h);
    timer.async_wait([&](boost::system::error_code error) { seen = error; });
  }
  wan.run();
  EXPECT_EQ(seen, asio::error::operation_aborted);
  EXPECT_EQ(wan.now(), at(0s));
}

TEST_F(VirtualAsio, AMillionSleepsAreQuick) {
  std::vector<Duration> ticks;
  ticks.reserve(1'000'000);
  asio::co_spawn(context.executor(), tick(context, 1'000'000, ticks), asio::detached);
  wan.checking(false);
  wan.run();
  EXPECT_EQ(wan.now(), at(10'000s));
}

}  // namespace
}  // namespace netsim
