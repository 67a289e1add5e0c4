// Records of a trace: what a session was told, what its surroundings answered, what it did, in the
// order in which it happened. A trace is the text kTraceMagic, then records: length as a varint,
// the record. docs/session.md, "Traces".
//
// Inputs carry the time. Behind one stand the answers that the core got while it worked on it: from
// its paths (what TLS made of bytes) and its services (messages, jobs, deadlines). Every
// poll_output() of the owner stands as the output it gave. Secrets never enter: tokens and proofs
// are zeroed, keys are public ones; payloads are a length and 8 bytes of their SHA-256 unless kept.
#pragma once

#include <optional>
#include <variant>

#include "lib/wire/codec.hpp"
#include "lib/wire/frame.hpp"
#include "lib/wire/hello.hpp"
#include "lib/wire/kind.hpp"

namespace longhaul::session::trace {

inline constexpr std::string_view kTraceMagic = "longhaul trace 1\n";
constexpr std::size_t kTextMax = 512;
constexpr std::size_t kRecordMax = 5U << 20;  // a kept message and its fields
constexpr std::size_t kPayloadKeptMax = 4U << 20;

struct Why {  // an Error
  Kind kind = Kind::kIo;
  wire::Text<kTextMax> attempt, why;
  template <class F>
  static void fields(F& f) {
    f(&Why::kind, "kind");
    f(&Why::attempt, "attempt");
    f(&Why::why, "why");
  }
};

// Bytes of a message or a frame's payload.
struct Content {
  std::uint32_t bytes = 0;
  wire::Blob<kPayloadKeptMax> kept;  // all of it, or 8 bytes of its SHA-256
  template <class F>
  static void fields(F& f) {
    f(&Content::bytes, "bytes");
    f(&Content::kept, "kept", "all of them, or 8 bytes of their SHA-256");
  }
};

struct Begin {
  std::int64_t at = 0;  // ns, as all times here
  bool dials = false, expects_bulk = false, keeps_payloads = false;
  std::uint8_t services = 1;
  std::uint32_t addresses = 1, bulk_paths_max = 0;
  std::uint64_t window_bytes = 0, rate_limit = 0;
  std::int64_t outage_max = 0;
  std::uint64_t learned_rate = 0;
  std::int64_t learned_rtt = 0;
  std::uint32_t learned_loss_ppm = 0, learned_paths = 0;
  bool learned_bbr = false;
  template <class F>
  static void fields(F& f) {
    f(&Begin::at, "at");
    f(&Begin::dials, "dials");
    f(&Begin::expects_bulk, "expects_bulk");
    f(&Begin::keeps_payloads, "keeps_payloads");
    f(&Begin::services, "services");
    f(&Begin::addresses, "addresses");
    f(&Begin::bulk_paths_max, "bulk_paths_max");
    f(&Begin::window_bytes, "window_bytes");
    f(&Begin::rate_limit, "rate_limit");
    f(&Begin::outage_max, "outage_max");
    f(&Begin::learned_rate, "learned_rate");
    f(&Begin::learned_rtt, "learned_rtt");
    f(&Begin::learned_loss_ppm, "learned_loss_ppm");
    f(&Begin::learned_paths, "learned_paths");
    f(&Begin::learned_bbr, "learned_bbr");
  }
};

// Inputs.
struct Adopted {
  std::int64_t at = 0;
  wire::Hello hello;  // without its secrets
  bool proven = false;
  crypto::Digest peer;
  std::uint32_t output_bytes = 0;  // what the connection had still to write
  template <class F>
  static void fields(F& f) {
    f(&Adopted::at, "at");
    f(&Adopted::hello, "hello");
    f(&Adopted::proven, "proven");
    f(&Adopted::peer, "peer");
    f(&Adopted::output_bytes, "output_bytes");
  }
};
struct Dialed {
  std::int64_t at = 0;
  std::uint32_t path = 0;
  std::optional<Why> failed;
  template <class F>
  static void fields(F& f) {
    f(&Dialed::at, "at");
    f(&Dialed::path, "path");
    f(&Dialed::failed, "failed");
  }
};
struct Heard {
  std::int64_t at = 0;
  std::uint32_t path = 0, bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&Heard::at, "at");
    f(&Heard::path, "path");
    f(&Heard::bytes, "bytes");
  }
};
struct Closed {
  std::int64_t at = 0;
  std::uint32_t path = 0;
  Why why;
  template <class F>
  static void fields(F& f) {
    f(&Closed::at, "at");
    f(&Closed::path, "path");
    f(&Closed::why, "why");
  }
};
struct Writable {
  std::int64_t at = 0;
  std::uint32_t path = 0;
  std::uint64_t bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&Writable::at, "at");
    f(&Writable::path, "path");
    f(&Writable::bytes, "bytes");
  }
};
struct Informed {
  std::int64_t at = 0;
  std::uint32_t path = 0;
  std::int64_t rtt = 0, rtt_min = 0;
  std::uint64_t delivery_rate = 0, bytes_sent = 0, bytes_retransmitted = 0, bytes_delivered = 0;
  std::uint32_t cwnd_packets = 0;
  bool bbr = false;
  template <class F>
  static void fields(F& f) {
    f(&Informed::at, "at");
    f(&Informed::path, "path");
    f(&Informed::rtt, "rtt");
    f(&Informed::rtt_min, "rtt_min");
    f(&Informed::delivery_rate, "delivery_rate");
    f(&Informed::bytes_sent, "bytes_sent");
    f(&Informed::bytes_retransmitted, "bytes_retransmitted");
    f(&Informed::bytes_delivered, "bytes_delivered");
    f(&Informed::cwnd_packets, "cwnd_packets");
    f(&Informed::bbr, "bbr");
  }
};
struct JobDone {
  std::int64_t at = 0;
  std::uint8_t service = 0;
  std::uint64_t job = 0;
  template <class F>
  static void fields(F& f) {
    f(&JobDone::at, "at");
    f(&JobDone::service, "service");
    f(&JobDone::job, "job");
  }
};
enum class Call : std::uint8_t { kDeadline = 0, kService = 1, kAddresses = 2 };
constexpr auto wire_values(Call) {
  return std::array{wire::Known{Call::kDeadline, "deadline"},
                    wire::Known{Call::kService, "service"},
                    wire::Known{Call::kAddresses, "addresses"}};
}
struct Called {  // on_deadline, on_service, on_addresses_changed
  std::int64_t at = 0;
  Call what = Call::kDeadline;
  template <class F>
  static void fields(F& f) {
    f(&Called::at, "at");
    f(&Called::what, "what");
  }
};
struct Limited {
  std::int64_t at = 0;
  std::uint64_t rate = 0;
  template <class F>
  static void fields(F& f) {
    f(&Limited::at, "at");
    f(&Limited::rate, "rate");
  }
};
struct Stopped {  // end()
  std::int64_t at = 0;
  Why why;
  template <class F>
  static void fields(F& f) {
    f(&Stopped::at, "at");
    f(&Stopped::why, "why");
  }
};

// Answers of a path: `path` counts the session's connections from 0.
struct Turned {  // what a call to it changed
  std::uint32_t path = 0;
  std::uint32_t more_output = 0;       // bytes
  std::optional<crypto::Digest> peer;  // proven just now
  std::optional<Why> broken;           // just now
  template <class F>
  static void fields(F& f) {
    f(&Turned::path, "path");
    f(&Turned::more_output, "more_output");
    f(&Turned::peer, "peer");
    f(&Turned::broken, "broken");
  }
};
struct Received {  // a frame it gave
  std::uint32_t path = 0;
  std::uint8_t type = 0;
  wire::Blob<wire::kFrameMax> head;
  Content payload;
  template <class F>
  static void fields(F& f) {
    f(&Received::path, "path");
    f(&Received::type, "type", "of the frame");
    f(&Received::head, "head", "its body but for the payload, which comes last");
    f(&Received::payload, "payload");
  }
};
struct Unreadable {  // what it gave instead of a frame
  std::uint32_t path = 0;
  Why why;
  template <class F>
  static void fields(F& f) {
    f(&Unreadable::path, "path");
    f(&Unreadable::why, "why");
  }
};
struct Taken {  // bytes it gave to be written
  std::uint32_t path = 0, bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&Taken::path, "path");
    f(&Taken::bytes, "bytes");
  }
};

// Answers of a service.
struct Said {
  std::uint8_t service = 0, lane = 0;
  Content body;
  std::uint64_t key = 0;
  std::optional<std::int64_t> deadline;
  template <class F>
  static void fields(F& f) {
    f(&Said::service, "service");
    f(&Said::lane, "lane");
    f(&Said::body, "body");
    f(&Said::key, "key");
    f(&Said::deadline, "deadline");
  }
};
struct Ordered {  // a job
  std::uint8_t service = 0, where = 0;
  std::uint64_t job = 0;
  template <class F>
  static void fields(F& f) {
    f(&Ordered::service, "service");
    f(&Ordered::where, "where");
    f(&Ordered::job, "job");
  }
};
struct Became {  // what it holds and when it wants to be called, where that is no longer as before
  std::uint8_t service = 0;
  bool inside = false;  // by a call of the session; else by one from outside
  std::uint64_t held = 0;
  std::optional<std::int64_t> deadline;
  template <class F>
  static void fields(F& f) {
    f(&Became::service, "service");
    f(&Became::inside, "inside");
    f(&Became::held, "held");
    f(&Became::deadline, "deadline");
  }
};

// What the session did.
struct Sent {  // a frame, to a path
  std::uint32_t path = 0;
  std::uint8_t type = 0;
  wire::Blob<wire::kFrameMax> head;
  Content payload;
  template <class F>
  static void fields(F& f) {
    f(&Sent::path, "path");
    f(&Sent::type, "type");
    f(&Sent::head, "head");
    f(&Sent::payload, "payload");
  }
};
struct Delivered {  // a message, to a service
  std::uint8_t service = 0, lane = 0;
  std::uint32_t bytes = 0;
  template <class F>
  static void fields(F& f) {
    f(&Delivered::service, "service");
    f(&Delivered::lane, "lane");
    f(&Delivered::bytes, "bytes");
  }
};
struct Did {  // an output, in words
  wire::Text<kTextMax> what;
  template <class F>
  static void fields(F& f) {
    f(&Did::what, "what");
  }
};
struct Drained {  // poll_output() had no more
  template <class F>
  static void fields(F&) {}
};

using Record = std::variant<Begin, Adopted, Dialed, Heard, Closed, Writable, Informed, JobDone,
                            Called, Limited, Stopped, Turned, Received, Unreadable, Taken, Said,
                            Ordered, Became, Sent, Delivered, Did, Drained>;

}  // namespace longhaul::session::trace
