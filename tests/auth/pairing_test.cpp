// The join exchange: checklist A4 (somebody in between) and A5 (reuse, guesses, expiry, race).
#include "lib/auth/pairing.hpp"

#include <gtest/gtest.h>

#include "tests/crypto/tls_pair.hpp"

namespace longhaul::auth {
namespace {

constexpr WallTime kNow{1'000'000'000'000};
constexpr WallTime later(Duration by) {
  return WallTime{kNow.ns + by.count()};
}

Secret secret_of(unsigned number) {
  Secret secret{};
  secret[3] = static_cast<std::byte>(number);
  return secret;
}
InviteLine line_of(unsigned number) {
  InviteLine line;
  line.address = "site.example:7700";
  line.secret = secret_of(number);
  return line;
}
PairingBinding binding(unsigned connection = 1) {
  return {crypto::sha256("connection " + std::to_string(connection)), crypto::sha256("joiner"),
          crypto::sha256("inviter")};
}

// The inviting node with one open invite, and what its owner does with a Commit.
struct Site {
  PeerBook peers;
  Invites invites;
  explicit Site(Role role = Role::kObserver) {
    EXPECT_TRUE(invites.add({secret_of(1), role, later(kInviteLife)}, kNow).has_value());
  }
  Inviter::Output answer(WallTime now, const wire::Join& join, const PairingBinding& on) {
    Inviter inviter("asuncion", on);
    inviter.check();
    inviter.on_join(now, join, invites);
    inviter.check();
    auto output = inviter.poll_output();
    EXPECT_TRUE(output.has_value());
    const auto* wish = std::get_if<Inviter::Commit>(&*output);
    if (wish == nullptr) return *output;
    inviter.check();
    inviter.on_stored(commit(*wish, now, peers, invites));
    inviter.check();
    return inviter.poll_output().value();
  }
};

bool is_refused(const Inviter::Output& output) {
  const auto* refuse = std::get_if<wire::Refuse>(&output);
  return refuse != nullptr && refuse->reason == wire::Refusal::kForbidden;
}

TEST(Pairing, AnInviteMakesTwoPeers) {
  Site site;
  const Joiner joiner(line_of(1), "laptop", binding());
  const auto output = site.answer(kNow, joiner.join(), binding());
  ASSERT_TRUE(std::holds_alternative<wire::Joined>(output));
  const auto peer = joiner.on_joined(std::get<wire::Joined>(output));
  ASSERT_TRUE(peer.has_value()) << peer.error().message();
  EXPECT_EQ(peer->name, "asuncion");
  EXPECT_EQ(peer->granted, Role::kObserver);
  EXPECT_EQ(to_hex(peer->inviter), binding().inviter.hex());
  ASSERT_EQ(site.peers.all().size(), 1U);
  EXPECT_EQ(site.peers.all()[0].name, "laptop");
  EXPECT_EQ(site.peers.role_of(site.peers.all()[0].pin), Role::kObserver);
  EXPECT_EQ(to_hex(site.peers.all()[0].pin), binding().joiner.hex());
}

TEST(Pairing, NothingIsGrantedBeforeItIsStored) {
  Site site;
  Inviter inviter("asuncion", binding());
  inviter.on_join(kNow, Joiner(line_of(1), "laptop", binding()).join(), site.invites);
  ASSERT_TRUE(std::holds_alternative<Inviter::Commit>(inviter.poll_output().value()));
  EXPECT_FALSE(inviter.poll_output().has_value());
  inviter.on_stored(fail(Kind::kNoSpace, "replace the ledger"));
  const auto output = inviter.poll_output();
  EXPECT_EQ(std::get<wire::Refuse>(*output).reason, wire::Refusal::kBusy);
}

TEST(Pairing, A5AnInviteIsSpentOnce) {
  Site site;
  const Joiner first(line_of(1), "one", binding(1)), second(line_of(1), "two", binding(2));
  EXPECT_FALSE(is_refused(site.answer(kNow, first.join(), binding(1))));
  EXPECT_TRUE(is_refused(site.answer(kNow, second.join(), binding(2))));
  EXPECT_EQ(site.peers.all().size(), 1U);
}

TEST(Pairing, A5OfTwoAtOnceOneIsAdmitted) {
  Site site;
  Inviter a("asuncion", binding(1)), b("asuncion", binding(2));
  a.on_join(kNow, Joiner(line_of(1), "one", binding(1)).join(), site.invites);
  b.on_join(kNow, Joiner(line_of(1), "two", binding(2)).join(), site.invites);
  const auto of_a = std::get<Inviter::Commit>(*a.poll_output());
  const auto of_b = std::get<Inviter::Commit>(*b.poll_output());
  a.on_stored(commit(of_a, kNow, site.peers, site.invites));
  b.on_stored(commit(of_b, kNow, site.peers, site.invites));
  EXPECT_TRUE(std::holds_alternative<wire::Joined>(*a.poll_output()));
  EXPECT_TRUE(is_refused(*b.poll_output()));
  EXPECT_EQ(site.peers.all().size(), 1U);
}

TEST(Pairing, P8A5AThousandWrongGuessesLeaveTheInviteGood) {
  Site site;
  for (unsigned guess = 2; guess < 1002; ++guess) {
    InviteLine wrong = line_of(guess % 256);
    wrong.secret[0] = static_cast<std::byte>(1 + guess / 256);
    EXPECT_TRUE(is_refused(
        site.answer(kNow, Joiner(wrong, "thief", binding(guess)).join(), binding(guess))));
  }
  EXPECT_FALSE(
      is_refused(site.answer(kNow, Joiner(line_of(1), "laptop", binding()).join(), binding())));
}

TEST(Pairing, A5AnExpiredInviteIsRefused) {
  Site in_time, late;
  const Joiner joiner(line_of(1), "laptop", binding());
  EXPECT_FALSE(is_refused(in_time.answer(later(kInviteLife - 1s), joiner.join(), binding())));
  EXPECT_TRUE(is_refused(late.answer(later(kInviteLife + 1s), joiner.join(), binding())));
  Site slow;  // in time when it came, too late when it was to be stored
  Inviter inviter("asuncion", binding());
  inviter.on_join(kNow, joiner.join(), slow.invites);
  const auto wish = std::get<Inviter::Commit>(*inviter.poll_output());
  inviter.on_stored(commit(wish, later(kInviteLife + 1s), slow.peers, slow.invites));
  EXPECT_TRUE(is_refused(*inviter.poll_output()));
}

TEST(Pairing, A4AProofDoesNotHoldOnAnotherConnection) {
  Site site;
  const Joiner victim(line_of(1), "laptop", binding(1));
  EXPECT_TRUE(is_refused(site.answer(kNow, victim.join(), binding(2))));
}

TEST(Pairing, A4AProofDoesNotHoldForAnotherKey) {
  Site site;
  PairingBinding thief = binding();
  thief.joiner = crypto::sha256("thief");
  EXPECT_TRUE(is_refused(site.answer(kNow, Joiner(line_of(1), "x", binding()).join(), thief)));
}

TEST(Pairing, AnInviterWithoutTheSecretIsNoPeer) {
  const Joiner joiner(line_of(1), "laptop", binding());
  wire::Joined echoed;
  echoed.proof = joiner.join().proof;
  const Error error = joiner.on_joined(echoed).error();
  EXPECT_EQ(error.kind(), Kind::kAuth);
  EXPECT_EQ(error.why(), "the other side does not know the secret");
}

TEST(Pairing, ARoleChangedOnTheWayIsNoticed) {
  Site site(Role::kObserver);
  const Joiner joiner(line_of(1), "laptop", binding());
  auto joined = std::get<wire::Joined>(site.answer(kNow, joiner.join(), binding()));
  joined.role = wire::Role::kOwner;
  EXPECT_EQ(joiner.on_joined(joined).error().kind(), Kind::kAuth);
}

TEST(Pairing, OurOwnKeyIsNotPaired) {
  Site site;
  PairingBinding mirror = binding();
  mirror.joiner = mirror.inviter;
  EXPECT_TRUE(is_refused(site.answer(kNow, Joiner(line_of(1), "me", mirror).join(), mirror)));
}

TEST(Pairing, AnotherVersionIsToldSo) {
  Site site;
  wire::Join join = Joiner(line_of(1), "laptop", binding()).join();
  join.version = 2;
  const auto output = site.answer(kNow, join, binding());
  EXPECT_EQ(std::get<wire::Refuse>(output).reason, wire::Refusal::kVersion);
  const Joiner joiner(line_of(1), "laptop", binding());
  EXPECT_EQ(joiner.on_refuse(std::get<wire::Refuse>(output)).kind(), Kind::kUnsupported);
}

TEST(Pairing, RefusalsTellThePersonWhatToDo) {
  const Joiner joiner(line_of(1), "laptop", binding());
  const Error used = joiner.on_refuse({wire::Refusal::kForbidden});
  EXPECT_EQ(used.kind(), Kind::kAuth);
  EXPECT_EQ(used.message(), "pair: the invite was not accepted");
  EXPECT_EQ(used.advice(), "it may have been used, or be older than 10 minutes: ask for a new one");
  const Error busy = joiner.on_refuse({wire::Refusal::kBusy});
  EXPECT_EQ(busy.why(), "the other side is busy");
  EXPECT_EQ(busy.advice(), "try again in a moment; the invite is still good");
  const Error other = joiner.on_refuse({wire::Refusal::kVersion});
  EXPECT_EQ(other.why(), "the other side speaks another version");
  EXPECT_EQ(other.advice(), "update the older of the two programs");
}

TEST(Pairing, HoldsOverARealConnection) {
  crypto::TlsPair tls;
  tls.exchange();
  ASSERT_TRUE(tls.both_open());
  const auto exported = [](crypto::TlsEngine& engine) {
    const ByteVector bytes = engine.exporter(kPairingLabel, {}, crypto::Digest::kSize);
    return crypto::Digest(std::span<const std::byte, 32>(bytes));
  };
  const PairingBinding of_joiner{
      exported(*tls.client), crypto::identity_of(crypto::kClientKey).pin(), *tls.client->peer()};
  const PairingBinding of_inviter{exported(*tls.server), *tls.server->peer(),
                                  crypto::identity_of(crypto::kServerKey).pin()};
  Site site(Role::kOwner);
  const Joiner joiner(line_of(1), "laptop", of_joiner);
  const auto output = site.answer(kNow, joiner.join(), of_inviter);
  ASSERT_TRUE(std::holds_alternative<wire::Joined>(output));
  EXPECT_TRUE(joiner.on_joined(std::get<wire::Joined>(output)).has_value());
}

}  // namespace
}  // namespace longhaul::auth
