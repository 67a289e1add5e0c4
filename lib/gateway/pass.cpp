#include "lib/gateway/pass.hpp"

#include <algorithm>
#include <charconv>

#include "lib/base/escape.hpp"

namespace longhaul::gateway {
namespace {

constexpr std::string_view kTitle = "longhaul gateway pass 1";
constexpr std::size_t kRunBytesMax = 64;
constexpr std::size_t kPathBytesMax = 100;  // of a unix socket: sun_path

bool is_key(std::string_view text) {
  return text.size() == kKeyTextBytes &&
         text.find_first_not_of(kZ85Digits) == std::string_view::npos;
}

}  // namespace

bool is_run_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kRunBytesMax && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

Result<> judge_endpoint(std::string_view endpoint) {
  const auto bad = [endpoint](const char* why) {
    return fail(
        Error(Kind::kUsage,
              "use '" + printable(std::string(endpoint), 200) + "' as the gateway's place", why)
            .advise("tcp://ADDRESS:PORT, or ipc:///ABSOLUTE/PATH for readers on this host"));
  };
  if (endpoint.starts_with("ipc://")) {
    const std::string_view path = endpoint.substr(6);
    if (!path.starts_with('/')) return bad("the path is not absolute");
    if (path.size() > kPathBytesMax) return bad("the path is too long for a socket");
    if (path.find_first_of(" \n\r\t") != std::string_view::npos)
      return bad("there is a blank in it");
    return {};
  }
  if (!endpoint.starts_with("tcp://")) return bad("it is neither tcp:// nor ipc://");
  const std::size_t colon = endpoint.rfind(':');
  const std::string_view host = endpoint.substr(6, colon < 6 ? 0 : colon - 6);
  const std::string_view digits = endpoint.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || host.size() > 255 || digits.empty() || status != std::errc{} ||
      end != digits.data() + digits.size())
    return bad("there is no host and port");
  if (host.find_first_of(" \n\r\t;/") != std::string_view::npos) return bad("that is no host");
  return {};
}

std::string to_text(const Pass& pass) {
  return std::string(kTitle) + "\nrun " + pass.run + "\nat " + pass.at + "\nsite " + pass.site_key +
         "\nours " + pass.our_key + "\nsecret " + pass.our_secret + "\n";
}

Result<Pass> parse_pass(std::string_view text) {
  const auto broken = [](const char* why) {
    return fail(Kind::kMalformed, "read a gateway's pass", why);
  };
  if (text.size() > kPassBytesMax || !text.starts_with(kTitle)) return broken("it is none");
  text.remove_prefix(kTitle.size());
  Pass pass;
  for (const auto& [name, field] : {std::pair("\nrun ", &Pass::run),
                                    {"\nat ", &Pass::at},
                                    {"\nsite ", &Pass::site_key},
                                    {"\nours ", &Pass::our_key},
                                    {"\nsecret ", &Pass::our_secret}}) {
    if (!text.starts_with(name)) return broken("a line is missing");
    text.remove_prefix(std::string_view(name).size());
    const std::size_t size = std::min(text.find('\n'), text.size());
    pass.*field = text.substr(0, size);
    text.remove_prefix(size);
  }
  if (text != "\n") return broken("there is more than it should hold");
  if (!is_run_name(pass.run)) return broken("that is no name of a run");
  TRY(judge_endpoint(pass.at));
  for (const std::string* key : {&pass.site_key, &pass.our_key, &pass.our_secret})
    if (!is_key(*key)) return broken("a key is damaged");
  return pass;
}

}  // namespace longhaul::gateway
