// Pairing: the exchange that turns an invite into two keys that know each other. It runs inside a
// TLS 1.3 connection on which both sides have proved their keys and the joiner has checked the
// inviter's against the invite. Then:
//
//   joiner  -> Join{proof, name}      HMAC(secret, exporter, joiner's pin, inviter's pin, "join")
//   inviter    finds the open invite that the proof fits; spends it and stores the joiner's key in
//              one durable step, done by the owner: Commit, then on_stored()
//   inviter -> Joined{role, proof}    HMAC(.., "joined", role), or Refuse{forbidden}
//
// A proof holds for one connection only, so nobody in between can pass it on; a wrong one costs
// that connection and nothing else, so that strangers cannot use an invite up. Who is refused does
// not learn why. Pure; one object a connection; not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/auth/invite.hpp"
#include "lib/auth/peer_book.hpp"
#include "lib/crypto/identity.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"

namespace longhaul::auth {

// What the exporter of the connection is asked for: this label, no context, 32 bytes.
constexpr std::string_view kPairingLabel = "EXPORTER-longhaul-pairing";

struct PairingBinding {  // the connection that the proofs belong to
  crypto::Digest exported;
  crypto::Pin joiner, inviter;  // as proved by TLS
};

// What the joiner has when it is done. What the inviter may do here is the joiner's own decision.
struct Paired {
  Pin inviter{};
  Role granted = Role::kObserver;  // what we may do there
  std::string name;                // what the inviter calls itself, tamed
};

// The side that read the invite.
class Joiner {
 public:
  // `name`: what we call ourselves; the other side may tame it.
  Joiner(const InviteLine& invite, std::string_view name, const PairingBinding& binding);
  const wire::Join& join() const { return join_; }             // to be sent
  Result<Paired> on_joined(const wire::Joined& joined) const;  // kAuth: it lacks the secret
  Error on_refuse(const wire::Refuse& refuse) const;

 private:
  Secret secret_;
  PairingBinding binding_;
  wire::Join join_;
};

// The side that issued it.
class Inviter {
 public:
  // Do commit() durably, then call on_stored() with what became of it.
  struct Commit {
    Secret invite{};
    Peer peer;
  };
  using Output = std::variant<Commit, wire::Joined, wire::Refuse>;  // the latter end the exchange

  Inviter(std::string_view name, const PairingBinding& binding);
  void on_join(WallTime now, const wire::Join& join, const Invites& invites);
  void on_stored(const Result<>& stored);
  std::optional<Output> poll_output();
  void check() const;  // invariants

 private:
  enum class Stage : std::uint8_t { kWaiting, kStoring, kDone };
  void refuse(wire::Refusal reason);
  std::string name_;
  PairingBinding binding_;
  Stage stage_ = Stage::kWaiting;
  Commit commit_;
  std::optional<Output> output_;
};

// Spends the invite and stores the peer; the body of the durable step. kAuth, and nothing changed,
// if the invite is no longer open: another join was first, or its time has passed.
Result<> commit(const Inviter::Commit& commit, WallTime now, PeerBook& peers, Invites& invites);

}  // namespace longhaul::auth
