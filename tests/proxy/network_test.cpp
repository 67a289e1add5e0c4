// Which network a laptop is in, from the kernel's tables.
#include "proxy/network.hpp"

#include <gtest/gtest.h>

namespace longhaul::proxy {
namespace {

const std::string kRoutes =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    "wlan0\t00000000\t0100000A\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
const std::string kHeading =
    "IP address       HW type     Flags       HW address            Mask     Device\n";

std::string neighbour(const std::string& flags, const std::string& interface) {
  return "192.168.1.1      0x1         " + flags + "         52:54:00:12:35:02     *        " +
         interface + "\n";
}

TEST(Network, IsThatOfTheDefaultRouteWithTheLeastMetric) {
  EXPECT_EQ(network_in(kRoutes, ""), "eth0-192.168.1.1");
  const std::string wireless = kRoutes.substr(0, kRoutes.rfind("eth0"));
  EXPECT_EQ(network_in(wireless, ""), "wlan0-10.0.0.1");
}

TEST(Network, TwoGatewaysOfOneAddressAreToldApartByTheirHardware) {
  EXPECT_EQ(network_in(kRoutes, kHeading + neighbour("0x2", "eth0")),
            "eth0-192.168.1.1-525400123502");
  EXPECT_EQ(network_in(kRoutes, kHeading + neighbour("0x0", "eth0")), "eth0-192.168.1.1")
      << "an entry that the kernel has not completed";
  EXPECT_EQ(network_in(kRoutes, kHeading + neighbour("0x2", "eth1")), "eth0-192.168.1.1");
}

TEST(Network, HasNoNameWithoutSuchARoute) {
  EXPECT_EQ(network_in("", ""), "");
  EXPECT_EQ(network_in(kRoutes.substr(0, kRoutes.find("wlan0")), ""), "");
  EXPECT_EQ(network_in("heading\neth0\t00000000\n", ""), "");
  EXPECT_EQ(network_in("heading\neth0\t00000000\t0101A8C0\tup\t0\t0\tx\t00000000\t0\t0\t0\n", ""),
            "");
  std::string down = kRoutes;
  for (std::size_t at = down.find("0003"); at != std::string::npos; at = down.find("0003"))
    down.replace(at, 4, "0002");
  EXPECT_EQ(network_in(down, ""), "");
}

TEST(Network, IsAPartOfAFilesName) {
  std::string odd = kRoutes;
  odd.replace(odd.rfind("eth0"), 4, "../x");
  EXPECT_EQ(network_in(odd, ""), ".._x-192.168.1.1");
}

}  // namespace
}  // namespace longhaul::proxy
