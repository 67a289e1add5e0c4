#include "lib/auth/invite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace longhaul::auth {
namespace {

constexpr std::size_t kAddressMax = 300;

template <std::size_t N>
Result<std::array<std::byte, N>> fixed_hex(std::string_view hex, const char* what) {
  std::array<std::byte, N> out{};
  const auto bytes = from_hex(hex);
  if (!bytes || bytes->size() != N)
    return fail(Kind::kUsage, "read the invite",
                fmt::format("{} is not {} hex digits", what, 2 * N));
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhite = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kWhite);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhite) - begin + 1);
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kOwner:
      return "owner";
    case Role::kObserver:
      return "observer";
    case Role::kSite:
      return "site";
  }
  return "unknown";
}

std::optional<Role> role_named(std::string_view name) {
  for (const Role role : {Role::kOwner, Role::kObserver, Role::kSite})
    if (name == name_of(role)) return role;
  return std::nullopt;
}

Result<InviteLine> parse_invite(std::string_view line) {
  line = trimmed(line);
  const auto refuse = [](const char* why) {
    return fail(Error(Kind::kUsage, "read the invite", why)
                    .advise("paste the whole line that `longhaul-streamer invite` printed"));
  };
  if (line.empty()) return refuse("there is none on stdin");
  const std::size_t first = line.find('#');
  const std::size_t second = first == std::string_view::npos ? first : line.find('#', first + 1);
  if (second == std::string_view::npos) return refuse("it is not HOST:PORT#KEY#SECRET");
  InviteLine out;
  out.address = line.substr(0, first);
  if (out.address.empty() || out.address.size() > kAddressMax)
    return refuse("its address is empty or too long");
  out.pin = TRY(fixed_hex<kPinBytes>(line.substr(first + 1, second - first - 1), "its key"));
  out.secret = TRY(fixed_hex<kSecretBytes>(line.substr(second + 1), "its secret"));
  return out;
}

std::string to_text(const InviteLine& invite) {
  return invite.address + "#" + to_hex(invite.pin) + "#" + to_hex(invite.secret);
}

Result<Invites> Invites::parse(std::string_view text) {
  Invites out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const auto broken = [] {
      return fail(Kind::kMalformed, "read the open invites", "a line is broken");
    };
    if (end == std::string_view::npos || out.invites_.size() >= kInvitesMax) return broken();
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const std::size_t a = line.find(' ');
    const std::size_t b = a == std::string_view::npos ? a : line.find(' ', a + 1);
    if (b == std::string_view::npos) return broken();
    OpenInvite invite;
    const auto secret = fixed_hex<kSecretBytes>(line.substr(0, a), "a secret");
    const auto role = role_named(line.substr(a + 1, b - a - 1));
    const std::string_view time = line.substr(b + 1);
    const auto [rest, status] =
        std::from_chars(time.data(), time.data() + time.size(), invite.expires.ns);
    if (!secret || !role || status != std::errc{} || rest != time.data() + time.size())
      return broken();
    invite.secret = *secret;
    invite.role = *role;
    out.invites_.push_back(invite);
  }
  return out;
}

std::string Invites::text() const {
  std::string out;
  for (const OpenInvite& invite : invites_)
    out +=
        fmt::format("{} {} {}\n", to_hex(invite.secret), name_of(invite.role), invite.expires.ns);
  return out;
}

Result<> Invites::add(const OpenInvite& invite, WallTime now) {
  std::erase_if(invites_, [&](const OpenInvite& i) { return i.expires <= now; });
  if (invites_.size() >= kInvitesMax)
    return fail(Error(Kind::kLimit, "make an invite", fmt::format("{} are open", kInvitesMax))
                    .advise("wait until some of them expire; each lives ten minutes"));
  invites_.push_back(invite);
  return {};
}

std::vector<OpenInvite> Invites::open(WallTime now) const {
  std::vector<OpenInvite> out;
  // An expiry far ahead means the clock was set back since: such an invite is dead too.
  const std::int64_t horizon = now.ns + Duration(2 * kInviteLife).count();
  for (const OpenInvite& invite : invites_)
    if (now < invite.expires && invite.expires.ns <= horizon) out.push_back(invite);
  return out;
}

void Invites::spend(const Secret& secret, WallTime now) {
  std::erase_if(invites_,
                [&](const OpenInvite& i) { return i.secret == secret || i.expires <= now; });
}

}  // namespace longhaul::auth
