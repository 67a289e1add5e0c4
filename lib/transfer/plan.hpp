// Plan: what a push would do, before it does it: which content would cross (the same choice that
// Sender and ChunkQueue make), and how long that would take. Pure functions of a walk, of what is
// remembered of the site and of rates that somebody measured; `push --dry-run` prints the result.
//
// The model, all of it: walk + dial + max(read and hash, encode, link) + one round trip + publish.
//   dial     TCP and TLS, one round trip each; one more if an earlier push did not end
//   link     rounds of a window that begins with kFirstWindowBytes a connection and doubles until
//            it is rate x RTT; from then on the rate
//   publish  what the site took last time, by its own word (wire::Committed::took_us)
// A file that must be read first is expected to be as in the base if its size, mode and time are
// (then the manifest says so with its neighbours, in no bytes worth counting), else to have changed
// in one place. What it does not know: what other traffic will do to the link,
// and whether the site already holds content under another name.
#pragma once

#include <optional>

#include "lib/session/link_memory.hpp"
#include "lib/transfer/progress.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/transfer/site_memory.hpp"

namespace longhaul::transfer {

// The content of a push, sorted by what happens to it. Bytes are of content, before compression.
struct PushPlan {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t unread_files = 0, unread_bytes = 0;  // must be read before anybody knows
  std::uint64_t present_bytes = 0;   // believed to be there, or sent once for several places
  std::uint64_t send_bytes = 0;      // the rest; unread files count as new
  std::uint64_t send_files = 0;      // that any of it belongs to
  std::uint64_t manifest_bytes = 0;  // names and chunk ids of what differs from the base
  bool unchanged = false;            // everything is read and is the base: one question, one answer
};
PushPlan plan_push(const Source& source, const SiteMemory& memory);

struct PlanRates {
  session::LinkMemory link;             // rate zero: nothing is known, and no time is told
  std::optional<BytesPerSecond> limit;  // --limit-rate
  Duration walk{};                      // measured, by walking
  BytesPerSecond read, encode;          // one core, of content; zero: takes no time
  unsigned cores = 1;
  std::uint64_t wire_per_mille = 1000;  // what a codec makes of 1000 bytes of content
  Duration publish{};                   // a version of few files
  Duration publish_per_file{};
  bool unfinished = false;  // an earlier push did not end
};

struct Prediction {
  std::uint64_t wire_bytes = 0;      // blocks, as Progress::bytes_wire counts them
  std::uint64_t manifest_bytes = 0;  // beside them
  std::optional<Duration> time;      // all of it; nullopt: nobody has measured the link yet
  Stage limit = Stage::kLink;        // the longest of the stages that overlap; kPeer: publishing
  Duration reading{}, encoding{}, sending{}, publishing{};
};
Prediction predict(const PushPlan& plan, const PlanRates& rates);

// How long a link needs for so many bytes after the handshake.
Duration sending_time(std::uint64_t bytes, const session::LinkMemory& link,
                      std::optional<BytesPerSecond> limit);
// What of it goes by until the window is open, for a link that is then used for long.
Duration opening_time(const session::LinkMemory& link);

constexpr std::uint64_t kFirstWindowBytes = 14'480;  // ten segments: RFC 6928

}  // namespace longhaul::transfer
