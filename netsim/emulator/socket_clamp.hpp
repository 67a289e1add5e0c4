// SocketClamp: holds the socket buffers a program asks for at 212,992 bytes, Linux' default limit
// (net.core.rmem_max and wmem_max, which cannot be set per namespace). A seccomp filter sends
// setsockopt(SO_RCVBUF, SO_SNDBUF and their FORCE forms) to us; larger wishes are granted as
// 212,992. Not a security border, and blind to io_uring and to 32-bit programs; all else runs at
// full speed.
#pragma once

#include <cstdint>

#include "netsim/handle.hpp"

namespace netsim::emulator {

inline constexpr int kSocketBufferMax = 212'992;

// In the process to be clamped, before exec: installs the filter and gives its listener, to be
// served by another process. Empty: this kernel does not offer it (errno says why).
Fd install_socket_clamp();
// Answers one request; call when the listener is readable. False: nobody is left to be clamped.
enum class Served : bool { kGone, kYes };
Served serve_socket_clamp(const Fd& listener);

}  // namespace netsim::emulator
