// Sockets as the relay needs them: addresses from text, listening and dialling without blocking. No
// exceptions; a refusal by the system is a Result.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "netsim/handle.hpp"

namespace netsim::relay {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  std::string key() const { return {reinterpret_cast<const char*>(&storage), length}; }
};

// "127.0.0.1:5000", "[::1]:5000", "host:5000", ":5000" (loopback), "unix:/path". May ask the
// resolver, and block.
longhaul::Result<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);
bool is_loopback(const Address& address);  // unix sockets included

longhaul::Result<Fd> listen_stream(const Address& address);
longhaul::Result<Fd> bind_datagram(const Address& address);
// Connecting, perhaps already connected; writable when it is decided.
longhaul::Result<Fd> dial_stream(const Address& address);
longhaul::Result<Fd> dial_datagram(const Address& address);
longhaul::Result<Address> local_address(const Fd& fd);
int pending_error(const Fd& fd);  // SO_ERROR
void close_with_reset(Fd& fd);    // RST, not FIN

}  // namespace netsim::relay
