// Greeter: an accepted connection from its first byte until its owner has judged who it is and what
// it wants. It answers nothing but TLS until then, and a refused peer learns one reason.
//
//   greeter.on_stream(now, bytes);
//   while (auto slice = greeter.poll_output()) ..        // bytes to write
//   if (const Knock* knock = greeter.knock()) ..         // judge it: take() or refuse()
//
// Deadline, bytes and number of such connections are the owner's to bound (auth::Admission); what
// this holds is bounded by kGreeterBytesMax: when wants_input() is false, do not read. Not
// thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/crypto/tls_engine.hpp"
#include "lib/session/stream_path.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/join.hpp"

namespace longhaul::session {

constexpr std::size_t kGreeterBytesMax = 64U << 10;  // received before the peer is known

// Who is there and what it asks for; its key is proven, nothing else.
struct Knock {
  crypto::Pin peer;
  std::variant<wire::Hello, wire::Join> ask;
  const wire::Hello* hello() const { return std::get_if<wire::Hello>(&ask); }
  const wire::Join* join() const { return std::get_if<wire::Join>(&ask); }
};

// A connection that its owner has let in; what a Session is made of, or gets as a further path.
struct Arrival {
  std::unique_ptr<FramePath> stream;
  wire::Hello hello;
  Duration handshake_rtt{};  // from the ClientHello to the peer's Finished; zero: not known
  bool wants_session() const { return hello.intent == wire::Intent::kJoin; }
};

class Greeter {
 public:
  Greeter(std::unique_ptr<crypto::TlsEngine> engine, BufferPool& pool);

  // An error: close the connection, after writing what poll_output() gives.
  Result<> on_stream(Time now, const Slice& in);
  void check() const;  // invariants
  bool wants_input() const { return stream_ != nullptr && stream_->bytes_in() < kGreeterBytesMax; }
  std::optional<Slice> poll_output();
  bool secured() const { return stream_ != nullptr && stream_->secured(); }  // a stage is finished
  const Knock* knock() const { return knock_.has_value() ? &*knock_ : nullptr; }

  // After a Knock. take(): for a Hello; the Greeter is then empty.
  Arrival take();
  // What a Session did not take, to be refused.
  void give_back(Arrival arrival);
  void refuse(wire::Refusal reason);        // then write what there is and close
  void answer(const wire::Joined& joined);  // for a Join; likewise
  // What a proof must be bound to; after secured().
  crypto::Digest exported(std::string_view label) const { return stream_->exported(label); }

 private:
  Result<> look();
  std::unique_ptr<StreamPath> stream_;
  std::unique_ptr<FramePath> returned_;
  std::optional<Knock> knock_;
  std::optional<Time> began_;  // the first byte was here
  Duration handshake_rtt_{};
};

// What to tell a connection that Session::adopt() or accept() did not take.
wire::Refusal refusal_of(const Error& why);
// The reason to refuse a Hello before anything else is looked at, if there is one.
std::optional<wire::Refusal> judge_version(const wire::Hello& hello);

}  // namespace longhaul::session
