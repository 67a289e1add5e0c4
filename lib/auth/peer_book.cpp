#include "lib/auth/peer_book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "lib/base/escape.hpp"

namespace longhaul::auth {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kPrefixDigitsMin = 8;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameMax &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

std::optional<WallTime> time_in(std::string_view text) {
  WallTime out;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out.ns);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// "<pin> <role> <name> <paired> <revoked or ->"
std::optional<Peer> peer_in(std::string_view line) {
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t space = i + 1 < words.size() ? line.find(' ') : line.size();
    if (space == std::string_view::npos) return std::nullopt;
    words.at(i) = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  Peer peer;
  const auto pin = from_hex(words[0]);
  const auto role = role_named(words[1]);
  const auto paired = time_in(words[3]);
  if (!pin || pin->size() != kPinBytes || !role || !is_name(words[2]) || !paired)
    return std::nullopt;
  std::copy(pin->begin(), pin->end(), peer.pin.begin());
  peer.role = *role;
  peer.name = words[2];
  peer.paired = *paired;
  if (words[4] == "-") return peer;
  peer.revoked = time_in(words[4]);
  return peer.revoked ? std::optional(peer) : std::nullopt;
}

}  // namespace

std::string tame_name(std::string_view wished) {
  std::string name(wished.substr(0, kNameMax - 6));  // room for the number that keeps names apart
  for (char& c : name)
    if (!is_name_character(c)) c = '-';
  return name.empty() ? "peer" : name;
}

Result<PeerBook> PeerBook::parse(std::string_view text) {
  PeerBook out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const auto peer = end == std::string_view::npos ? std::nullopt : peer_in(text.substr(0, end));
    // Fail closed: a book that cannot be read lets nobody in.
    if (!peer || out.peers_.size() >= kPeersMax)
      return fail(Error(Kind::kMalformed, fmt::format("read line {} of the peer book", number))
                      .advise("restore the file from a backup, or remove it and pair again"));
    out.peers_.push_back(*peer);
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string PeerBook::text() const {
  std::string out;
  for (const Peer& peer : peers_) {
    const std::string revoked = peer.revoked ? std::to_string(peer.revoked->ns) : "-";
    out += fmt::format("{} {} {} {} {}\n", to_hex(peer.pin), name_of(peer.role), peer.name,
                       peer.paired.ns, revoked);
  }
  return out;
}

const Peer* PeerBook::find(const Pin& pin) const {
  const auto found =
      std::find_if(peers_.begin(), peers_.end(), [&](const Peer& peer) { return peer.pin == pin; });
  return found == peers_.end() ? nullptr : &*found;
}

std::optional<Role> PeerBook::role_of(const Pin& pin) const {
  const Peer* peer = find(pin);
  if (peer == nullptr || peer->revoked) return std::nullopt;
  return peer->role;
}

Result<> PeerBook::add(Peer peer) {
  for (Peer& known : peers_) {
    if (known.pin != peer.pin) continue;
    known.role = peer.role;
    known.paired = peer.paired;
    known.revoked.reset();
    return {};
  }
  if (peers_.size() >= kPeersMax)
    return fail(Kind::kLimit, "add a peer", fmt::format("{} are in the book", kPeersMax));
  const auto taken = [&](const std::string& name) {
    return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.name == name; });
  };
  const std::string wished = tame_name(peer.name);
  peer.name = wished;
  for (int number = 2; taken(peer.name); ++number) peer.name = fmt::format("{}-{}", wished, number);
  peers_.push_back(std::move(peer));
  return {};
}

Result<Peer> PeerBook::revoke(std::string_view who, WallTime now) {
  std::vector<Peer*> fitting;
  for (Peer& peer : peers_) {
    const bool by_pin = who.size() >= kPrefixDigitsMin && to_hex(peer.pin).starts_with(who);
    if (peer.name == who || by_pin) fitting.push_back(&peer);
  }
  const std::string attempt = "revoke '" + printable(who, 80) + "'";
  if (fitting.empty())
    return fail(Error(Kind::kNotFound, attempt, "no peer has that name or key")
                    .advise("`longhaul-streamer peers ls` lists them"));
  if (fitting.size() > 1)
    return fail(Error(Kind::kUsage, attempt,
                      std::to_string(fitting.size()) + " peers have a name or key like that")
                    .advise("give more of the key; `longhaul-streamer peers ls` lists them"));
  if (!fitting.front()->revoked) fitting.front()->revoked = now;
  return *fitting.front();
}

}  // namespace longhaul::auth
