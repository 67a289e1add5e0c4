#include "lib/auth/pairing.hpp"

#include <algorithm>

#include "lib/crypto/kdf.hpp"

namespace longhaul::auth {
namespace {

constexpr std::uint32_t kPairingVersion = 1;
constexpr std::string_view kAttempt = "pair";

static_assert(static_cast<int>(Role::kOwner) == static_cast<int>(wire::Role::kOwner));
static_assert(static_cast<int>(Role::kObserver) == static_cast<int>(wire::Role::kObserver));
static_assert(static_cast<int>(Role::kSite) == static_cast<int>(wire::Role::kSite));

// Every part but the last has a fixed length, so that no two proofs are over the same bytes.
std::array<std::byte, 32> prove(const Secret& secret, const PairingBinding& binding,
                                std::string_view step) {
  const crypto::Digest proof = crypto::hmac_sha256(
      secret,
      {binding.exported.bytes(), binding.joiner.bytes(), binding.inviter.bytes(), bytes_of(step)});
  std::array<std::byte, 32> bytes;
  std::copy(proof.bytes().begin(), proof.bytes().end(), bytes.begin());
  return bytes;
}
std::array<std::byte, 32> join_proof(const Secret& secret, const PairingBinding& binding) {
  return prove(secret, binding, "join");
}
std::array<std::byte, 32> joined_proof(const Secret& secret, const PairingBinding& binding,
                                       Role role) {
  return prove(secret, binding, std::string("joined ").append(name_of(role)));
}

Pin pin_of(const crypto::Pin& key) {
  Pin pin;
  std::copy(key.bytes().begin(), key.bytes().end(), pin.begin());
  return pin;
}

wire::Text<wire::kNodeNameMax> short_name(std::string_view name) {
  return name.substr(0, wire::kNodeNameMax);
}

}  // namespace

Joiner::Joiner(const InviteLine& invite, std::string_view name, const PairingBinding& binding)
    : secret_(invite.secret), binding_(binding) {
  join_.version = kPairingVersion;
  join_.proof = join_proof(secret_, binding_);
  join_.name = short_name(name);
}

Result<Paired> Joiner::on_joined(const wire::Joined& joined) const {
  const Role granted = static_cast<Role>(joined.role);
  if (!crypto::constant_time_equal(joined.proof, joined_proof(secret_, binding_, granted))) {
    return fail(Kind::kAuth, std::string(kAttempt), "the other side does not know the secret");
  }
  return Paired{pin_of(binding_.inviter), granted, tame_name(joined.name)};
}

Error Joiner::on_refuse(const wire::Refuse& refuse) const {
  if (refuse.reason == wire::Refusal::kVersion) {
    return Error(Kind::kUnsupported, std::string(kAttempt), "the other side speaks another version")
        .advise("update the older of the two programs");
  }
  if (refuse.reason == wire::Refusal::kBusy) {
    return Error(Kind::kBusy, std::string(kAttempt), "the other side is busy")
        .advise("try again in a moment; the invite is still good");
  }
  return Error(Kind::kAuth, std::string(kAttempt), "the invite was not accepted")
      .advise("it may have been used, or be older than 10 minutes: ask for a new one");
}

Inviter::Inviter(std::string_view name, const PairingBinding& binding)
    : name_(short_name(name)), binding_(binding) {}

void Inviter::refuse(wire::Refusal reason) {
  stage_ = Stage::kDone;
  output_ = wire::Refuse{reason};
}

void Inviter::on_join(WallTime now, const wire::Join& join, const Invites& invites) {
  if (stage_ != Stage::kWaiting) return;  // one Join a connection
  if (join.version != kPairingVersion) return refuse(wire::Refusal::kVersion);
  if (binding_.joiner == binding_.inviter) return refuse(wire::Refusal::kForbidden);
  const OpenInvite* fits = nullptr;
  const std::vector<OpenInvite> open = invites.open(now);
  for (const OpenInvite& invite : open) {
    if (crypto::constant_time_equal(join.proof, join_proof(invite.secret, binding_)))
      fits = &invite;
  }
  if (fits == nullptr) return refuse(wire::Refusal::kForbidden);
  commit_.invite = fits->secret;
  commit_.peer.pin = pin_of(binding_.joiner);
  commit_.peer.role = fits->role;
  commit_.peer.name = tame_name(join.name);
  commit_.peer.paired = now;
  stage_ = Stage::kStoring;
  output_ = commit_;
}

void Inviter::on_stored(const Result<>& stored) {
  if (stage_ != Stage::kStoring) return;
  if (!stored.has_value()) {
    const bool lost = stored.error().kind() == Kind::kAuth;
    return refuse(lost ? wire::Refusal::kForbidden : wire::Refusal::kBusy);
  }
  stage_ = Stage::kDone;
  wire::Joined joined;
  joined.role = static_cast<wire::Role>(commit_.peer.role);
  joined.proof = joined_proof(commit_.invite, binding_, commit_.peer.role);
  joined.name = short_name(name_);
  output_ = joined;
}

void Inviter::check() const {
  if (!output_) return;
  ASSERT(stage_ != Stage::kWaiting);  // nothing is said before the proof is judged
  // Joined leaves behind the durable step alone, and Commit never behind it.
  ASSERT(std::holds_alternative<Commit>(*output_) == (stage_ == Stage::kStoring));
}

std::optional<Inviter::Output> Inviter::poll_output() {
  return std::exchange(output_, std::nullopt);
}

Result<> commit(const Inviter::Commit& commit, WallTime now, PeerBook& peers, Invites& invites) {
  const std::vector<OpenInvite> open = invites.open(now);
  const bool still_open = std::any_of(open.begin(), open.end(), [&](const OpenInvite& invite) {
    return invite.secret == commit.invite && invite.role == commit.peer.role;
  });
  if (!still_open) {
    return fail(Kind::kAuth, std::string(kAttempt), "the invite was used or has expired");
  }
  TRY(peers.add(commit.peer));
  invites.spend(commit.invite, now);
  return {};
}

}  // namespace longhaul::auth
