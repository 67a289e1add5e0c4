// PeerLinks: what this site learned of the links to its laptops while it sent, so that a pull
// begins at the rate at which the last one ended. By key and address: a laptop elsewhere has
// another link. In memory only; losing it costs a second of searching.
#pragma once

#include <cstdint>
#include <list>
#include <string>

#include "lib/auth/invite.hpp"
#include "lib/session/link_memory.hpp"

namespace longhaul::streamer {

constexpr std::size_t kPeerLinksMax = 64;  // the last ones that were learned of

class PeerLinks {
 public:
  // Empty: nothing is known.
  session::LinkMemory find(const auth::Pin& peer, const std::string& from) const;
  // Of a session that ended, which sent so many bytes.
  void keep(const auth::Pin& peer, const std::string& from, const session::LinkMemory& learned,
            std::uint64_t sent_bytes);
  std::size_t size() const { return links_.size(); }

 private:
  struct Link {
    auth::Pin peer;
    std::string from;
    session::LinkMemory memory;
  };
  std::list<Link> links_;  // the newest first
};

}  // namespace longhaul::streamer
