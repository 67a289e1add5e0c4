// Invite: the one line that lets a node pair with another, once, within ten minutes:
//
//   gpu.example.org:7700#<64 hex: SHA-256 of the inviter's public key>#<32 hex: secret>
//
// Whoever holds it knows whom he talks to (the pin) and can prove that he was invited (the secret).
// It goes from terminal to terminal or over ssh; it is read from stdin, never from a command line,
// and never logged.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/auth/role.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::auth {

constexpr std::size_t kSecretBytes = 16;
constexpr std::size_t kPinBytes = 32;
constexpr Duration kInviteLife = 10min;
constexpr std::size_t kInvitesMax =
    64;  // open at a time; a further one is refused, not the oldest dropped

using Secret = std::array<std::byte, kSecretBytes>;
using Pin = std::array<std::byte, kPinBytes>;

struct InviteLine {
  std::string address;  // HOST:PORT as the inviter can be reached; judged by whoever dials it
  Pin pin{};
  Secret secret{};
};
// Surrounding white space is forgiven, nothing else. kUsage says what is wrong, never quotes the
// secret.
Result<InviteLine> parse_invite(std::string_view line);
std::string to_text(const InviteLine& invite);

// The inviter's open invites: a small text file of its own (0600), one line each.
struct OpenInvite {
  Secret secret{};
  Role role = Role::kObserver;
  WallTime expires;
  std::strong_ordering operator<=>(const OpenInvite&) const = default;
};
class Invites {
 public:
  static Result<Invites> parse(std::string_view text);
  std::string text() const;
  Result<> add(const OpenInvite& invite, WallTime now);  // kLimit when too many are open
  // Those that a proof made now may be tried against.
  std::vector<OpenInvite> open(WallTime now) const;
  void spend(const Secret& secret, WallTime now);  // it and all that have expired are gone
  std::size_t size() const { return invites_.size(); }

 private:
  std::vector<OpenInvite> invites_;
};

}  // namespace longhaul::auth
