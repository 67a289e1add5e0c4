// Route: to which address packets go, and whether the peer is known to be there. Only the packet of
// the highest number so far may name another address; old and new are then challenged, 4 times a
// second; until the new one answers it gets at most three times what came from it and the old one
// is kept; if the old one answers with a newer packet, it stands. One candidate at a time. So a
// datagram replayed from a forged source costs nothing but a few challenges. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/crypto/digest.hpp"
#include "lib/datagram/address.hpp"
#include "lib/datagram/frames.hpp"

namespace longhaul::datagram {

class Route {
 public:
  // secret: of which challenges are made; nobody else can know them. peer: where it is thought to
  // be by the side that began, whose address needs no proof of this kind.
  Route(const crypto::Digest& secret, std::optional<Address> peer);

  enum class Change : std::uint8_t { kNone, kPort, kHost };  // of the address that is in use
  // A packet that authenticated came from `from`.
  Change on_packet(Time now, const Address& from, std::size_t bytes, bool newest);
  Change on_response(const Token& token, const Address& from);
  void challenge_again(Time now);  // our own address may have changed

  // Where packets go now; nullopt: the peer is not known yet.
  const std::optional<Address>& current() const { return current_; }
  bool validated() const { return validated_; }
  // How many bytes may go to the current address now.
  std::uint64_t room() const;
  void on_sent(const Address& to, std::size_t bytes);

  struct Challenge {
    Address to;
    Token token;
  };
  // The next challenge to send, if one is due.
  std::optional<Challenge> take_challenge(Time now);
  std::optional<Time> challenge_at() const;

 private:
  struct Trial {
    Address address;
    Token token{};
    bool pending = false;
    Time next{};
    std::uint32_t sent = 0;
  };
  Token make_token();
  void begin(Time now, Trial& trial, const Address& address);
  Change adopt(const Address& address);

  const crypto::Digest secret_;
  std::uint64_t tokens_ = 0;
  std::optional<Address> current_;
  std::optional<Address> old_;  // in use before a candidate that is not validated yet
  bool validated_;
  Trial current_trial_, old_trial_;
  std::uint64_t received_ = 0, sent_ = 0;  // from and to the current one, unvalidated
};

}  // namespace longhaul::datagram
