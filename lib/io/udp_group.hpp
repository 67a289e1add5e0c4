// More sockets on the port of one: an untuned kernel holds 208 KiB for a UDP socket, 4 ms of 500
// Mbit/s, and drops what comes while the process waits its turn. Each datagram goes to one of them
// by chance (SO_ATTACH_REUSEPORT_CBPF, which takes no privilege), so together they hold as many
// times that, for one sender too. Who reads them must bring what came into its order again.
#pragma once

#include <cstddef>
#include <vector>

namespace longhaul::io {

// `socket` is bound. Up to `count` more, bound as it is and without options of their own; none
// where the kernel does not spread datagrams over them. The caller closes them.
std::vector<int> open_siblings(int socket, std::size_t count);

}  // namespace longhaul::io
