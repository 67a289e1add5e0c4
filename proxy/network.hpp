// Which network this machine is in, as a name for what is remembered of links over it: a laptop at
// home and in an office reaches the same site over different ones.
#pragma once

#include <string>
#include <string_view>

namespace longhaul::proxy {

// INTERFACE-GATEWAY-HARDWARE of the default IPv4 route with the least metric, the hardware address
// without colons and only where the kernel knows it (every home has its 192.168.1.1). Empty: no
// such route. In: /proc/net/route and /proc/net/arp (proc_net(5)).
std::string network_in(std::string_view routes, std::string_view neighbours);

std::string network_now();  // empty too where /proc cannot be read

}  // namespace longhaul::proxy
