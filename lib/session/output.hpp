// Everything a session may ask of its owner. The owner (lib/io/pump.hpp on sockets, tests/sim in
// virtual time) drains Session::poll_output() after every on_*() and does what it says, in order;
// it decides nothing.
//
// Paths are named by the session that dials (Dial::path) or by the owner that accepted (Greeter);
// a PathId is never used twice in one session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "lib/base/ids.hpp"
#include "lib/base/job.hpp"
#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/datagram/address.hpp"
#include "lib/datagram/protection.hpp"
#include "lib/session/path_choice.hpp"

namespace longhaul::session {

using PathId = Id<struct PathTag, std::uint32_t>;
using ServiceId = Id<struct ServiceTag, std::uint8_t>;  // place in the list given to the Session

enum class PathRole : std::uint8_t {
  kControl,  // control and live messages, and bulk only while there is nothing better
  kBulk,     // everything else
};
std::string_view name_of(PathRole role);

// Bytes for a path, after all earlier ones of that path. At most as many as on_writable() allowed,
// but for acknowledgements and control frames, which are small and may go over it.
struct Write {
  PathId path;
  Slice bytes;
};

// Open a connection to the address with this place in the owner's list (SessionOptions::addresses
// says how many there are), then call on_dialed(now, path, result). Several may run at a time; a
// Close of the path cancels its dial, which then needs no answer.
struct Dial {
  PathId path;
  std::uint32_t address = 0;
  PathRole role = PathRole::kControl;
  bool small_segments = false;  // TCP_MAXSEG of kSmallSegment, before the SYN (segment_guess.hpp)
};

// The path is over for the session: nothing more comes in or goes out.
struct Close {
  PathId path;
  // true: what was written still goes out, then FIN. false: at once, and what is unsent is dropped.
  bool finish = false;
};

// How a path's socket should behave from now on.
struct Tune {
  PathId path;
  BytesPerSecond pacing;  // SO_MAX_PACING_RATE; zero lifts it
  // Unsent bytes the kernel should hold at most (TCP_NOTSENT_LOWAT), and what on_writable() counts
  // against: 10 ms of this path's rate, within named bounds.
  std::uint32_t unsent_max_bytes = 0;
  bool bbr = false;  // ask for it; a refusal is no error, on_path_info() says what runs
};

// Datagrams to send now from the UDP socket, in this order: one behind the other in `bytes`, each
// of `each_bytes` but for the last, which may be shorter: one sendmsg() with UDP_SEGMENT, or as
// many without. Pacing is done: what is put out may leave at once. They are sealed, so what the
// kernel does not take (EAGAIN, a partial sendmmsg()) is sent later as it is, or dropped, never
// asked for again; while it waits say so by on_datagrams_blocked(). The socket must not fragment
// (IP_PMTUDISC_PROBE); EMSGSIZE is no error: on_datagram_too_big().
struct SendDatagrams {
  datagram::Address to;
  Slice bytes;
  std::uint32_t each_bytes = 0;
};

// Datagrams that begin with a short header of this connection id are this session's from now on
// (datagram::peek_connection_id()), or no longer. At most two at a time.
struct ClaimDatagrams {
  datagram::ConnectionId id{};
  bool on = true;
};

// Wish for one on_path_info(now, path, ..) (TCP_INFO).
struct Sample {
  PathId path;
};

// A service's work. Return it by on_job(now, service, job) after its run().
struct HandOut {
  ServiceId service;
  Job job;
};

// What the kernel knows of a path; nullopt where it does not say. Counters are since the path
// began.
struct PathInfo {
  Duration rtt{}, rtt_min{};
  BytesPerSecond delivery_rate;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_retransmitted = 0;
  std::uint64_t bytes_delivered = 0;  // out of order as well; zero: not known
  std::uint32_t cwnd_packets = 0;
  bool bbr = false;
};

enum class RefuseReason : std::uint8_t {
  kNone,
  kVersion,    // no common version
  kForbidden,  // not paired, revoked, wrong proof
  kNoSession,  // the peer no longer knows this session: its process began anew
  kBusy,       // too many sessions or connections
  kMalformed,
};
std::string_view name_of(RefuseReason reason);

enum class KReason : std::uint8_t {
  kStart,          // first connections of the session
  kSumRose,        // the last step raised the sum by over 10 %: go on
  kLossLimited,    // packets are lost, and each connection alone yields to that
  kSumFlat,        // it did not: back to the number before
  kLinkFull,       // a queue or overload was seen: more cannot help
  kRateFell,       // the sum fell far below what it was: search again
  kMost,           // kPathsMax or the option's bound
  kRemembered,     // link memory says what served last time
  kRefusedByPeer,  // the peer takes no more connections
  kFewStay,        // those that were asked for die as fast as they come
  kThin,           // the link has no two packets at once for each of them
};
std::string_view name_of(KReason reason);

// Events: for logs, progress lines and owners that must act. A core never logs.
struct Established {
  bool resumed = false;  // the association of before, after all its paths had died
  std::uint32_t version = 0;
  std::uint64_t capabilities = 0;
};
struct LinkUp {};    // some path carries data again
struct LinkDown {};  // none does; messages wait, nothing is lost
struct PathUp {
  PathId path;
  PathRole role;
};
struct PathLost {
  PathId path;
  Error why;
  std::uint64_t requeued_bytes = 0;  // sent, not acknowledged, taken over by other paths
};
struct KChanged {  // how many bulk connections are wanted
  std::uint32_t from = 0, to = 0;
  KReason reason = KReason::kStart;
  BytesPerSecond sum;
};
struct RateCapped {  // zero: no cap but the user's
  BytesPerSecond cap;
};
struct PathChosen {  // how bulk travels from now on; also in Status
  bool datagrams = false;
  ChoiceReason why = ChoiceReason::kNone;
};
// Attempted, where a session ended because nobody answered.
constexpr const char* kReachThePeer = "reach the peer";
struct Ended {  // the session is over; services got on_end(); no output follows but Close
  Error why;
  RefuseReason refused = RefuseReason::kNone;
};
using Event = std::variant<Established, LinkUp, LinkDown, PathUp, PathLost, KChanged, RateCapped,
                           PathChosen, Ended>;

using Output =
    std::variant<Write, Dial, Close, Tune, Sample, HandOut, Event, SendDatagrams, ClaimDatagrams>;

}  // namespace longhaul::session
