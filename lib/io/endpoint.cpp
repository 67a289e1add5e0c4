#include "lib/io/endpoint.hpp"

#include <charconv>

#include "lib/base/escape.hpp"

namespace longhaul::io {
namespace {
constexpr std::size_t kHostMax = 253;  // RFC 1035
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto refuse = [&](const char* why) {
    return fail(Kind::kUsage, "read the address '" + printable(text, 80) + "'", why);
  };
  std::string_view host;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || text.substr(close).size() < 2 || text[close + 1] != ':')
      return refuse("write an IPv6 address as [ADDRESS]:PORT");
    host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return refuse("write it as HOST:PORT");
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return refuse("write an IPv6 address as [ADDRESS]:PORT");
  }
  if (host.empty() || host.size() > kHostMax) return refuse("the host is empty or too long");
  for (const char c : host) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
    if (!plain) return refuse("the host has a character that no host has");
  }
  Endpoint endpoint{std::string(host), 0};
  const auto [end, status] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (status != std::errc{} || end != port.data() + port.size())
    return refuse("the port is a number from 0 to 65535");
  return endpoint;
}

std::string to_text(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

}  // namespace longhaul::io
