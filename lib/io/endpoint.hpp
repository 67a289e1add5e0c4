// Endpoint: a host and a TCP or UDP port as people write them: "gpu.example.org:7700",
// "[2001:db8::1]:7700".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::io {

struct Endpoint {
  std::string host;  // name or address, without brackets
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

// kUsage for anything else than HOST:PORT with a port of 0..65535 (0: the system picks, for
// listening only).
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_text(const Endpoint& endpoint);  // brackets around an IPv6 address

}  // namespace longhaul::io
