#include "streamer/peer_links.hpp"

#include <algorithm>

namespace longhaul::streamer {

session::LinkMemory PeerLinks::find(const auth::Pin& peer, const std::string& from) const {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) {
    return link.peer == peer && link.from == from;
  });
  return found == links_.end() ? session::LinkMemory{} : found->memory;
}

void PeerLinks::keep(const auth::Pin& peer, const std::string& from,
                     const session::LinkMemory& learned, std::uint64_t sent_bytes) {
  const session::LinkMemory kept = session::worth_keeping(find(peer, from), learned, sent_bytes);
  if (learned.empty() || kept.empty()) return;
  links_.remove_if([&](const Link& link) { return link.peer == peer && link.from == from; });
  links_.push_front({peer, from, kept});
  if (links_.size() > kPeerLinksMax) links_.pop_back();
}

}  // namespace longhaul::streamer
