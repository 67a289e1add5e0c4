#include "trainer/asking/server_url.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {

Result<ServerUrl> ServerUrl::parse(std::string_view text) {
  const std::string attempt = "read --url " + printable(text, 200);
  const auto refuse = [&](const char* why) {
    return fail(Error(Kind::kUsage, attempt, why).advise("as http://HOST:PORT/v1"));
  };
  constexpr std::string_view kScheme = "http://", kChat = "/chat/completions",
                             kPlain = "/completions";
  if (text.starts_with("https://"))
    return fail(Error(Kind::kUnsupported, attempt, "https is not spoken here")
                    .advise("reach the server through a tunnel, as http://127.0.0.1:PORT/v1"));
  if (!text.starts_with(kScheme)) return refuse("it does not begin with http://");
  if (std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; }))
    return refuse("a character that no URL has");
  text.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view host = text.substr(0, slash);
  ServerUrl url;
  if (host.starts_with('[')) {  // IPv6
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return refuse("a [ without its ]");
    url.host = host.substr(1, end - 1);
    host.remove_prefix(end + 1);
  } else {
    const std::size_t colon = std::min(host.find(':'), host.size());
    url.host = host.substr(0, colon);
    host.remove_prefix(colon);
  }
  if (!host.empty()) {
    if (host[0] != ':' || host.size() < 2 || host.size() > 6 ||
        !std::all_of(host.begin() + 1, host.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return refuse("no port");
    url.port = host.substr(1);
  }
  if (url.host.empty()) return refuse("no host");
  url.path = text.substr(slash);
  while (url.path.ends_with('/')) url.path.pop_back();
  url.chat = url.path.ends_with(kChat);
  if (!url.path.ends_with(kPlain)) url.path += kPlain;
  return url;
}

}  // namespace longhaul::trainer
