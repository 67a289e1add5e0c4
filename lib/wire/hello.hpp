// The opening of every path: the dialler's Hello, its first frame, and the answer. The dialler's
// other frames may follow its Hello at once; the answer comes before any other frame of the
// accepting side. Values; any thread.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/codec.hpp"
#include "lib/wire/limits.hpp"

namespace longhaul::wire {

constexpr std::uint32_t kVersionLeast = 1;
constexpr std::uint32_t kVersionMost = 1;

using SessionToken = std::array<std::byte, 16>;  // names an association; both ends derive it
using Proof = std::array<std::byte, 32>;

enum class Intent : std::uint8_t {
  kBegin = 0,  // a new session
  kJoin = 1,   // a further path of the session named, or the first after all had died
};
constexpr auto wire_values(Intent) {
  return std::array{Known{Intent::kBegin, "begin"}, Known{Intent::kJoin, "join"}};
}

struct Hello {
  std::uint32_t version_least = kVersionLeast;
  std::uint32_t version_most = kVersionMost;
  std::uint64_t capabilities = 0;
  std::uint64_t required = 0;
  Intent intent = Intent::kBegin;
  std::uint8_t role = 0;
  SessionToken session{};
  Proof proof{};
  std::uint64_t control_next = 0;
  std::uint64_t credit = 0;
  Blob<kCredentialMax> credential;
  template <class F>
  static void fields(F& f) {
    f(&Hello::version_least, "version_least", "oldest the dialler speaks");
    f(&Hello::version_most, "version_most", "newest it speaks");
    f(&Hello::capabilities, "capabilities", "a bit each; unknown ones are ignored");
    f(&Hello::required, "required", "those of them that the dialler cannot do without");
    f(&Hello::intent, "intent", "what this connection is for");
    f(&Hello::role, "role", "of the path: 0 control, 1 bulk");
    f(&Hello::session, "session", "join: the session's token; begin: zero");
    f(&Hello::proof, "proof", "join: HMAC(session secret, exporter of this connection)");
    f(&Hello::control_next, "control_next", "join: as in Ack");
    f(&Hello::credit, "credit", "as in Ack");
    f(&Hello::credential, "credential", "pairing: what proves an invite; else empty");
  }
};

struct Accept {
  std::uint32_t version = 0;
  std::uint64_t capabilities = 0;
  std::uint64_t control_next = 0;
  std::uint64_t credit = 0;
  template <class F>
  static void fields(F& f) {
    f(&Accept::version, "version", "the newest that both speak");
    f(&Accept::capabilities, "capabilities", "what both have");
    f(&Accept::control_next, "control_next", "as in Ack");
    f(&Accept::credit, "credit", "as in Ack");
  }
};

enum class Refusal : std::uint8_t {
  kVersion = 1,
  kForbidden = 2,
  kNoSession = 3,
  kBusy = 4,
  kMalformed = 5,
  kCapability = 6,  // a required one is missing here
};
constexpr auto wire_values(Refusal) {
  return std::array{
      Known{Refusal::kVersion, "version"},      Known{Refusal::kForbidden, "forbidden"},
      Known{Refusal::kNoSession, "no-session"}, Known{Refusal::kBusy, "busy"},
      Known{Refusal::kMalformed, "malformed"},  Known{Refusal::kCapability, "capability"}};
}

struct Refuse {
  Refusal reason = Refusal::kForbidden;
  template <class F>
  static void fields(F& f) {
    f(&Refuse::reason, "reason", "the only thing a refused peer learns");
  }
};

}  // namespace longhaul::wire
