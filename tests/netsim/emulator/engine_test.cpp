// The engine over ports in memory: ways through several links, rebinding, copies and corruption.
#include "netsim/emulator/engine.hpp"

#include <gtest/gtest.h>

#include "netsim/settings.hpp"
#include "tests/netsim/emulator/packets.hpp"

namespace netsim::emulator {
namespace {

using std::chrono::milliseconds;
using test::MemoryPort;
using test::udp_packet;

LinkConfig link_of(std::vector<Assignment> settings) {
  const auto link = with(LinkConfig{}, settings);
  EXPECT_TRUE(link.has_value());
  return *link;
}

struct World {
  explicit World(Topology t) : ports(t.hosts.size()), engine(t, 1, pointers(), now()) {}
  std::vector<Port*> pointers() {
    std::vector<Port*> out;
    for (MemoryPort& port : ports) out.push_back(&port);
    return out;
  }
  // Sends, and carries everything that follows within an hour.
  void send(std::size_t host, longhaul::ByteVector packet) {
    ports[host].to_send.push_back(std::move(packet));
    ASSERT_TRUE(engine.receive(host));
    while (engine.deliver(now() + std::chrono::hours(1)) == Engine::More::kYes) continue;
  }
  std::vector<MemoryPort> ports;
  Engine engine;
};

Topology chain(const LinkConfig& first, const LinkConfig& second) {
  return {{"a", "b", "c"}, {{"one", 0, 1, first}, {"two", 1, 2, second}}, {}};
}

TEST(Engine, CarriesPacketsOverTheHostsBetween) {
  World world(chain(link_of({{"rtt", "20ms"}}), link_of({{"rtt", "40ms"}})));
  const auto packet = udp_packet({false, 0, 2});
  world.send(0, packet);
  ASSERT_EQ(world.ports[2].received.size(), 1U);
  EXPECT_EQ(world.ports[2].received[0], packet);
  EXPECT_TRUE(world.ports[1].received.empty());
  EXPECT_EQ(world.engine.trains_inside(), 0U);
  world.send(2, udp_packet({true, 2, 1}));
  EXPECT_EQ(world.ports[1].received.size(), 1U);
}

TEST(Engine, AHostThatHasMovedIsFoundOverSeveralLinks) {
  World world(chain(link_of({{"rtt", "20ms"}}), link_of({{"rtt", "40ms"}})));
  for (const bool v6 : {false, true}) {
    world.send(2, udp_packet({v6, 2, moved(0, 7)}));
    ASSERT_EQ(world.ports[0].received.size(), 1U) << v6;
    EXPECT_EQ(world.ports[0].received[0], udp_packet({v6, 2, moved(0, 7)}));
    world.ports[0].received.clear();
  }
  world.send(2, udp_packet({false, 2, moved(9, 1)}));  // of a host that is not there
  EXPECT_EQ(world.engine.counters(2).unroutable, 1U);
}

TEST(Engine, EntersTheNextLinkWhenItLeftTheLastOne) {
  World world(chain(link_of({{"delay", "10ms"}}), link_of({{"delay", "30ms"}})));
  world.ports[0].to_send.push_back(udp_packet({false, 0, 2}));
  const Time before = now();
  ASSERT_TRUE(world.engine.receive(0));
  const Time after = now();
  const auto due = world.engine.next_deadline();
  ASSERT_TRUE(due);
  (void)world.engine.deliver(*due + milliseconds(5));  // late: must not be added
  const auto next = world.engine.next_deadline();
  ASSERT_TRUE(next);
  EXPECT_GE(*next, before + milliseconds(40));
  EXPECT_LE(*next, after + milliseconds(40));
}

TEST(Engine, CopiesAndCorruptionOfEveryLinkArrive) {
  World world(chain(link_of({{"duplicate", "1"}}), link_of({{"corrupt", "1"}})));
  const auto packet = udp_packet({false, 0, 2});
  world.send(0, packet);
  ASSERT_EQ(world.ports[2].received.size(), 2U);
  for (const auto& got : world.ports[2].received) EXPECT_NE(got, packet);
  EXPECT_EQ(world.engine.trains_inside(), 0U);
}

TEST(Engine, NobodysAddressAndCircularRoutesEnd) {
  Topology topology = chain(link_of({}), link_of({}));
  topology.routes.push_back({1, 2, 0});  // b sends what is for c back to a
  World world(topology);
  world.send(0, udp_packet({false, 0, 2}));
  world.send(0, udp_packet({false, 0, 50}));
  world.send(0, udp_packet({false, 0, kFirstAlias + 3}));
  EXPECT_EQ(world.engine.counters(0).unroutable, 3U);
  EXPECT_EQ(world.engine.trains_inside(), 0U);
}

TEST(Engine, ARebindingChangesTheSourceAndAnswersFindTheirWay) {
  for (const bool v6 : {false, true}) {
    World world(chain(link_of({}), link_of({})));
    world.engine.link(0).apply(now(), Rebind{true});
    world.send(0, udp_packet({v6, 0, 2, 5000, 9000}));
    ASSERT_EQ(world.ports[2].received.size(), 1U);
    const auto seen = world.ports[2].received[0];
    const auto layout = layout_of(seen);
    ASSERT_TRUE(layout);
    EXPECT_TRUE(has_right_checksums(seen, *layout));
    const auto source = address_in(seen, v6, End::kSource);
    EXPECT_EQ(source, kFirstAlias);
    const std::uint16_t port = port_in(seen, *layout, End::kSource);
    world.send(2, udp_packet({v6, 2, *source, 9000, port}));
    ASSERT_EQ(world.ports[0].received.size(), 1U);
    EXPECT_EQ(world.ports[0].received[0], udp_packet({v6, 2, 0, 9000, 5000}));
    world.engine.link(0).apply(now(), Rebind{false});
    world.send(2, udp_packet({v6, 2, *source, 9000, port}));
    EXPECT_EQ(world.ports[0].received.size(), 1U);
    EXPECT_EQ(world.engine.counters(0).unmapped, 1U);
    EXPECT_EQ(world.engine.trains_inside(), 0U);
  }
}

TEST(Engine, APacketOverTheMtuBehindARebindingIsAnsweredToItsSender) {
  World world(two_hosts(link_of({{"mtu", "600"}})));
  world.engine.link(0).apply(now(), Rebind{true});
  const auto packet = udp_packet({false, 0, 1, 5000, 9000, 1000});
  world.send(0, packet);
  ASSERT_EQ(world.ports[0].received.size(), 1U);
  const Bytes reply = world.ports[0].received[0];
  EXPECT_EQ(reply[20], std::byte{3});  // destination unreachable, with the packet as it was sent
  EXPECT_TRUE(longhaul::equal(reply.subspan(28, 28), Bytes(packet).first(28)));
}

}  // namespace
}  // namespace netsim::emulator
