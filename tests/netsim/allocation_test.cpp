// Counts operator new in the whole program: the packet path allocates nothing after warm-up.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "netsim/link.hpp"

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace netsim {
namespace {

using namespace longhaul;  // literals

std::size_t allocations_of(const DirectionConfig& direction) {
  LinkConfig config;
  config.up = config.down = direction;
  Link link(config, Rng(1), Time{});
  std::uint64_t cookie = 0;
  const auto pass = [&](int packets) {
    for (int i = 0; i < packets; ++i) {
      const Time now(++cookie * 12us);
      for (const Direction d : kBothWays) {
        link.push(now, d, {cookie, 1500, Ecn::kEct0});
        while (link.pop(now, d)) {
        }
        while (link.pop_drop(d)) {
        }
      }
    }
  };
  pass(50'000);
  const std::size_t before = allocations;
  pass(10'000);
  return allocations - before;
}

TEST(Allocation, ThePacketPathAllocatesNothingAfterWarmUp) {
  DirectionConfig config;
  config.rate = ConstantRate{BytesPerSecond::from_bits(900'000'000)};
  config.queue.bytes_max = 1_MiB;
  config.delay.base = 80ms;
  EXPECT_EQ(allocations_of(config), 0U);
  config.queue.discipline = CoDel{};
  EXPECT_EQ(allocations_of(config), 0U);
  config.queue.discipline = Pie{};
  config.queue.ecn = true;
  config.aggregation = AggregationConfig{};
  config.loss = GilbertElliottLoss::of(0.01, 4);
  EXPECT_EQ(allocations_of(config), 0U);
}

TEST(Allocation, AQueueEntryFitsTwiceInto64Bytes) {  // a ring may be half empty
  EXPECT_LE(2 * sizeof(PacketQueue::Entry), 64U);
}

}  // namespace
}  // namespace netsim
