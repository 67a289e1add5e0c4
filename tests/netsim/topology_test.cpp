#include "netsim/topology.hpp"

#include <gmock/gmock.h>

#include "netsim/testing/wan_test.hpp"
#include "netsim/wan_topology.hpp"

namespace netsim {
namespace {

using namespace longhaul;  // literals
using testing::HasSubstr;

constexpr const char* kFour = R"({
  "netsim_topology": 1, "about": "a laptop, two routers and a site",
  "hosts": ["laptop", "isp", "exchange", "site"],
  "links": [
    {"between": ["laptop", "isp"], "link": {"rtt": "10ms"}},
    {"between": ["isp", "exchange"], "link": {"rtt": "20ms"}},
    {"name": "ocean", "between": ["exchange", "site"], "profile": "nyc-london",
     "link": {"rtt": "80ms", "jitter": "none", "loss": "none"}},
    {"name": "satellite", "between": ["laptop", "site"], "link": {"rtt": "600ms"}}],
  "routes": [{"at": "laptop", "to": "site", "via": "laptop-isp"},
             {"at": "isp", "to": "site", "via": "isp-exchange"},
             {"at": "site", "to": "laptop", "via": "ocean"}]})";

class Echo : public DatagramUser {
 public:
  explicit Echo(Wan& wan) : wan_(wan) {}
  void on_datagram(Time, const Datagram& d) override {
    heard = true;
    if (d.to.port == 9) wan_.send({d.to, d.from, d.payload});
  }
  bool heard = false;

 private:
  Wan& wan_;
};

TEST(Topology, ReadsHostsLinksProfilesAndRoutes) {
  const auto topology = topology_from_json(kFour);
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_EQ(topology->hosts.size(), 4U);
  ASSERT_EQ(topology->links.size(), 4U);
  EXPECT_EQ(topology->links[0].name, "laptop-isp");
  EXPECT_EQ(topology->links[2].config.up.delay.base, 40ms);  // the link changes the profile ..
  EXPECT_TRUE(std::holds_alternative<ConstantRate>(topology->links[2].config.up.rate));  // .. so
  const auto hops = next_hops(*topology);
  EXPECT_EQ(hops[0][3], 0U);  // by hand, although the satellite is one link away
  EXPECT_EQ(hops[1][3], 1U);
  EXPECT_EQ(hops[2][0], 1U);
}

TEST(Topology, AWanBuiltFromItCarriesPacketsOverItsWays) {
  const auto topology = topology_from_json(kFour);
  ASSERT_TRUE(topology);
  Wan wan(1);
  const WanNames names = build(wan, *topology);
  Echo laptop(wan), site(wan);
  const Endpoint here = endpoint(names.host("laptop"), 5), there = endpoint(names.host("site"), 9);
  wan.bind(here, laptop);
  wan.bind(there, site);
  wan.send({here, there, Slice::copy_of("ping")});
  wan.run();
  EXPECT_TRUE(laptop.heard);
  // 5 + 10 + 40 ms there and back; the ocean's 10 Gbit/s take 32 bytes in 25.6 ns, each way.
  EXPECT_EQ(wan.now().time_since_epoch() / 1ms, 110);
  EXPECT_EQ(wan.packet_hops(), 6U);
  wan.apply(names.link("ocean"), Outage{1h});
  laptop.heard = false;
  wan.send({here, there, Slice::copy_of("ping")});
  wan.run();
  EXPECT_FALSE(laptop.heard);
}

TEST(Topology, RefusesNonsenseInOneLine) {
  const std::vector<std::pair<std::string, std::string>> nonsense = {
      {R"({})", "netsim_topology"},
      {R"({"netsim_topology":2,"hosts":["a","b"],"links":[]})", "netsim_topology"},
      {R"({"netsim_topology":1,"hosts":["a"],"links":[]})", "2 to 64 hosts"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[]})", "host 'a' has no link"},
      {R"({"netsim_topology":1,"hosts":["a","a"],"links":[]})", "twice"},
      {R"({"netsim_topology":1,"hosts":["a","b/c"],"links":[]})", "letters"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","c"]}]})", "no host 'c'"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","a"]}]})", "to itself"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a"]}]})", "between"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","b"],"rtt":"1ms"}]})",
       "no 'rtt'"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","b"],"link":{"rtt":"x"}}]})",
       "x"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","b"],"profile":"atlantis"}]})",
       "atlantis"},
      {R"({"netsim_topology":1,"hosts":["a","b"],"links":[{"between":["a","b"]},{"between":["a","b"]}]})",
       "there twice"},
      {R"({"netsim_topology":1,"hosts":["a","b","c"],"links":[{"between":["a","b"]},{"between":["b","c"]}],
           "routes":[{"at":"a","to":"c","via":"b-c"}]})",
       "not there"}};
  for (const auto& [json, why] : nonsense) {
    const auto read = topology_from_json(json);
    ASSERT_FALSE(read) << json;
    EXPECT_THAT(read.error().message(), HasSubstr(why));
    EXPECT_EQ(read.error().message().find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace netsim
