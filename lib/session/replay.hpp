// Replay: runs a recorded session (trace.hpp) again through the same core, without sockets, clock,
// TLS, disk or services: the trace answers for all of them. What the core does is compared with
// what it did then, step by step; the first difference ends the replay. So a bug report is a test.
//
//   auto report = TRY(replay(bytes));
//   if (report.divergence) ..          // this build behaves otherwise: where and how
//
// Takes traces from strangers: whatever the bytes are, the result is a report or kMalformed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/units.hpp"
#include "lib/crypto/digest.hpp"

namespace longhaul::session {

struct Divergence {
  std::uint64_t record = 0;  // its place in the trace, from 1
  Duration at{};             // since the session began
  std::string recorded, replayed;
};

struct ReplayReport {
  bool dialled = false;         // else it was accepted
  bool keeps_payloads = false;  // else only their length is compared
  std::uint64_t records = 0, inputs = 0, outputs = 0;
  Duration span{};                              // from the first input to the last
  bool cut = false;                             // the trace ends within a record, as after a kill
  crypto::Digest recorded_hash, replayed_hash;  // over frames sent and outputs, in order
  std::optional<Divergence> divergence;
};

Result<ReplayReport> replay(Bytes trace);

}  // namespace longhaul::session
