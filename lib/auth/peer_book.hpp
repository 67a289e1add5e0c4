// PeerBook: who was paired, in what role, and who no longer is. A value; its text is the file
// `peers` of a node (0600), one line a peer, oldest first. A pin that is not in it, or revoked, is
// nobody.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/auth/invite.hpp"
#include "lib/auth/role.hpp"

namespace longhaul::auth {

constexpr std::size_t kPeersMax = 10'000;

struct Peer {
  Pin pin{};
  Role role = Role::kObserver;
  std::string name;  // of a-z A-Z 0-9 . _ -; what `peers ls` shows and `peers revoke` takes
  WallTime paired;
  std::optional<WallTime> revoked;
  bool operator==(const Peer&) const = default;
};

class PeerBook {
 public:
  static Result<PeerBook> parse(std::string_view text);
  std::string text() const;
  // The role of this key; nullopt for a stranger and for a revoked peer.
  std::optional<Role> role_of(const Pin& pin) const;
  const Peer* find(const Pin& pin) const;  // revoked ones too; null: none
  // Adds, or pairs anew (role, time; no longer revoked). A taken name gets a number: "ana",
  // "ana-2".
  Result<> add(Peer peer);
  // By name or by the first 8 or more digits of the pin. kNotFound; kUsage when several fit.
  Result<Peer> revoke(std::string_view who, WallTime now);
  const std::vector<Peer>& all() const { return peers_; }

 private:
  std::vector<Peer> peers_;
};

// Makes a peer's wish for a name fit the book: unfit characters become '-', empty becomes "peer".
std::string tame_name(std::string_view wished);

}  // namespace longhaul::auth
