#include "streamer/peer_links.hpp"

#include <gtest/gtest.h>

namespace longhaul::streamer {
namespace {

auth::Pin pin_of(std::uint8_t number) {
  auth::Pin pin;
  pin.fill(std::byte{number});
  return pin;
}

session::LinkMemory link(std::uint64_t rate) {
  session::LinkMemory memory;
  memory.rate = BytesPerSecond(rate);
  memory.rtt_min = 150ms;
  return memory;
}

TEST(PeerLinks, ALaptopIsKnownByItsKeyAndAddress) {
  PeerLinks links;
  links.keep(pin_of(1), "192.0.2.1", link(10'000'000), 50'000'000);
  EXPECT_EQ(links.find(pin_of(1), "192.0.2.1"), link(10'000'000));
  EXPECT_TRUE(links.find(pin_of(1), "192.0.2.2").empty());
  EXPECT_TRUE(links.find(pin_of(2), "192.0.2.1").empty());
}

TEST(PeerLinks, ASessionThatSentLittleDoesNotTakeTheRateBack) {
  PeerLinks links;
  links.keep(pin_of(1), "a", link(10'000'000), 50'000'000);
  links.keep(pin_of(1), "a", link(20'000), 3'000);
  EXPECT_EQ(links.find(pin_of(1), "a").rate.value(), 10'000'000U);
  links.keep(pin_of(1), "a", {}, 50'000'000);  // one that gave way
  EXPECT_EQ(links.find(pin_of(1), "a").rate.value(), 10'000'000U);
  links.keep(pin_of(1), "a", link(4'000'000), 50'000'000);
  EXPECT_EQ(links.find(pin_of(1), "a").rate.value(), 4'000'000U);
}

TEST(PeerLinks, TheOldestIsForgotten) {
  PeerLinks links;
  for (std::size_t i = 0; i <= kPeerLinksMax; ++i)
    links.keep(pin_of(static_cast<std::uint8_t>(i)), "a", link(1'000'000), 50'000'000);
  EXPECT_EQ(links.size(), kPeerLinksMax);
  EXPECT_TRUE(links.find(pin_of(0), "a").empty());
  EXPECT_FALSE(links.find(pin_of(1), "a").empty());
}

}  // namespace
}  // namespace longhaul::streamer
