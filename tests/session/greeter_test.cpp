// Connections that a session does not take: each learns why before it is closed.
#include "lib/session/greeter.hpp"

#include <gtest/gtest.h>

#include <array>

#include "lib/crypto/tls_context.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/session.hpp"
#include "tests/session/script_service.hpp"

namespace longhaul::test {
namespace {

using namespace session;

crypto::Identity made_from(std::uint8_t number) {
  std::array<std::byte, crypto::Identity::kSecretBytes> secret{};
  secret.fill(static_cast<std::byte>(number));
  return crypto::Identity::from_entropy(secret);
}

// A session and peers of it that are made by hand.
class Doorway : public testing::Test {
 protected:
  struct Guest {
    std::unique_ptr<StreamPath> stream;
    std::unique_ptr<Greeter> greeter;
  };
  Guest come(const crypto::TlsContext& tls) {
    Guest guest;
    const std::uint64_t seed = ++seed_;
    guest.stream = std::make_unique<StreamPath>(
        crypto::TlsEngine::client(tls, pool_, site_tls_.pin(), 2 * seed), pool_);
    guest.greeter =
        std::make_unique<Greeter>(crypto::TlsEngine::server(site_tls_, pool_, 2 * seed + 1), pool_);
    while (!guest.stream->secured()) talk(guest);
    return guest;
  }
  // There and back, which takes kRoundTrip.
  void talk(Guest& guest) {
    for (Slice out = guest.stream->take_output(); !out.empty(); out = guest.stream->take_output())
      EXPECT_TRUE(guest.greeter->on_stream(now_, out).has_value());
    guest.greeter->check();
    while (auto out = guest.greeter->poll_output())
      EXPECT_TRUE(guest.stream->feed(*out).has_value());
    now_ += kRoundTrip;
  }
  std::unique_ptr<Session> begin(Guest& guest, wire::Hello hello = {}) {
    guest.stream->send(wire::FrameType::kHello, hello);
    talk(guest);
    PathId first;
    Arrival arrival = guest.greeter->take();
    SessionOptions options;
    options.buffers = &pool_;
    Service* services[] = {&service_};
    auto session = Session::accept(Time{}, arrival, options, services, &first);
    if (session->association() == nullptr) guest.greeter->give_back(std::move(arrival));
    return session;
  }
  // Joins; what it was refused with by what a server does, or nullopt: it came in.
  std::optional<wire::Refusal> join(Session& session, Guest& guest, wire::Hello hello) {
    hello.intent = wire::Intent::kJoin;
    hello.session = session.association()->token;
    guest.stream->send(wire::FrameType::kHello, hello);
    talk(guest);
    Arrival arrival = guest.greeter->take();
    const auto path = session.adopt(Time{}, arrival);
    session.check();
    if (path) return std::nullopt;
    guest.greeter->give_back(std::move(arrival));
    return refused(guest, refusal_of(path.error()));
  }
  std::optional<wire::Refusal> refused(Guest& guest, wire::Refusal reason) {
    guest.greeter->refuse(reason);
    talk(guest);
    const auto frame = guest.stream->next_frame();
    if (!frame || !frame->has_value() || (*frame)->type != wire::FrameType::kRefuse) {
      ADD_FAILURE() << "it was not told";
      return std::nullopt;
    }
    return wire::decode<wire::Refuse>((*frame)->body)->reason;
  }
  wire::Hello proven_by(const Session& session, const Guest& guest) const {
    wire::Hello hello;
    hello.proof = prove(*session.association(), *guest.stream);
    return hello;
  }
  BufferPool pool_;
  crypto::TlsContext site_tls_{made_from(1), {.seeded = true}};
  crypto::TlsContext peer_tls_{made_from(2), {.seeded = true}};
  crypto::TlsContext other_tls_{made_from(3), {.seeded = true}};
  ScriptService service_;
  static constexpr Duration kRoundTrip = 80ms;
  std::uint64_t seed_ = 0;
  Time now_{};
};

TEST_F(Doorway, AConnectionWithoutTheSessionsProofIsToldSo) {
  Guest first = come(peer_tls_), second = come(peer_tls_), third = come(other_tls_);
  const auto session = begin(first);
  EXPECT_EQ(join(*session, second, wire::Hello{}), wire::Refusal::kForbidden);
  EXPECT_EQ(join(*session, third, proven_by(*session, third)), wire::Refusal::kForbidden);
}

// What the site sends first is paced by it, and by it a link that it knows is told from another.
TEST_F(Doorway, TheHandshakeTellsTheRoundTrip) {
  now_ += 1h;
  Guest guest = come(peer_tls_);
  guest.stream->send(wire::FrameType::kHello, wire::Hello{});
  talk(guest);
  EXPECT_EQ(guest.greeter->take().handshake_rtt, kRoundTrip);
}

TEST_F(Doorway, OneTooManyIsToldThatTheSessionIsBusy) {
  Guest first = come(peer_tls_);
  const auto session = begin(first);
  std::optional<wire::Refusal> refused;
  std::size_t joined = 0;
  while (!refused && joined < 100) {
    Guest next = come(peer_tls_);
    refused = join(*session, next, proven_by(*session, next));
    if (!refused) ++joined;
  }
  EXPECT_EQ(refused, wire::Refusal::kBusy);
  EXPECT_GE(joined, 64U);
}

TEST_F(Doorway, OneThatComesAfterTheEndIsToldThatThereIsNoSuchSession) {
  Guest first = come(peer_tls_), second = come(peer_tls_);
  const auto session = begin(first);
  const wire::Hello hello = proven_by(*session, second);
  session->end(Time{}, Error(Kind::kInterrupted, "serve", "the site stops"));
  EXPECT_EQ(join(*session, second, hello), wire::Refusal::kNoSession);
}

TEST_F(Doorway, AGreetingThatMakesNoSenseLeavesNoPath) {
  wire::Hello hello;
  hello.control_next = 7;  // of control that was never sent
  Guest alone = come(peer_tls_);
  EXPECT_EQ(begin(alone, hello)->association(), nullptr);
  EXPECT_EQ(refused(alone, wire::Refusal::kMalformed), wire::Refusal::kMalformed);

  Guest first = come(peer_tls_), second = come(peer_tls_);
  const auto session = begin(first);
  hello.proof = prove(*session->association(), *second.stream);
  EXPECT_EQ(join(*session, second, hello), wire::Refusal::kMalformed);
  EXPECT_EQ(session->status().control_paths + session->status().bulk_paths, 1U);
}

}  // namespace
}  // namespace longhaul::test
