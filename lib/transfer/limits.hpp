// Named maxima of a transfer at this end; what the wire itself allows stands in
// lib/wire/transfer.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/units.hpp"

namespace longhaul::transfer {

// Sender: content being read, encoded or encoded and not yet taken by the session. Full: no new
// reads.
constexpr std::size_t kInFlightMax = 32U << 20;
// Sender: the same of chunks that somebody needs soon, and of chunks that somebody waits for,
// beside the others, which are not to hold them up on a slow link. Full: they wait.
constexpr std::size_t kSoonInFlightMax = 8U << 20;
constexpr std::size_t kUrgentInFlightMax = 8U << 20;
constexpr std::size_t kAllInFlightMax = kInFlightMax + kSoonInFlightMax + kUrgentInFlightMax;
// Sender: content hashed and ready to go but not yet picked. Full: hashing rests, so that what is
// kept of small files is still here when they are encoded, and the second read of large ones finds
// them in the page cache; unless somebody waits for the manifest. More than a BDP, so that a Want
// comes before what it denies is picked.
constexpr std::uint64_t kHashAheadMax = 32U << 20;
// The same before the receiver's first word, which takes some round trips and may be that somebody
// waits for the manifest; but of small files no more is kept.
constexpr std::uint64_t kHashUnansweredMax = 256U << 20;
constexpr std::size_t kHashAheadChunksMax = 4096;
// Sender: content of small files kept from hashing to encoding: the above, and what all hash jobs
// add to it. Full: the oldest goes and is read again.
constexpr std::size_t kKeptMax = 40U << 20;
constexpr std::size_t kKeptFilesMax = 6144;
// Sender: on the link before the receiver's first word. At least a BDP (1 Gbit/s x 220 ms = 27 MB).
constexpr std::size_t kEarlyMax = 32U << 20;
// Receiver: messages kept that came before what explains them; counted in held(), so that the
// session's receive window (64 MiB) bounds what an honest peer can cause: over dozens of
// connections blocks overtake the manifest by most of it. Full: the peer broke the protocol.
constexpr std::size_t kEarlyHeldMax = 68U << 20;
// Receiver: memory of one manifest. Full: kLimit.
constexpr std::size_t kManifestMemoryMax = 512U << 20;
constexpr std::size_t kTransfersMax =
    64;  // at once, asked for by the peer; more are refused: kBusy
// Pages of answers that the session has not taken. Full: no further page is made (one a request may
// be under way).
constexpr std::size_t kAnswersQueuedMax = 256U << 10;
constexpr std::uint32_t kAttemptsMax = 4;  // of a source that changes while it is sent
// Sender: a file of which the base has another form, from here on, is not named before the peer has
// said what it understands (a round trip, in which it is hashed): 36 bytes a chunk, 64 of them.
constexpr std::uint64_t kWorthAskingBytes = 4U << 20;
constexpr std::size_t kHashJobsMax = 4;
constexpr std::size_t kHashJobBytes = 2U << 20;
constexpr std::size_t kHashJobFiles = 512;
constexpr Duration kEpochMax = 100ms;                // receiver: written but not fsynced, in time
constexpr std::uint64_t kEpochBytesMax = 64U << 20;  // and in bytes
constexpr Duration kReceiptEvery = 500ms;
constexpr Duration kDemandLookEvery = 50ms;  // receiver: who reads what is on its way?
constexpr Duration kPeerSilenceMax = 120s;   // while the link is up: kTimeout
constexpr Duration kLookupMax = 600s;        // the same until a pull is offered anything
// Sender: says that it lives when nothing else had to be said for so long (it hashes, or its rate
// is capped low).
constexpr Duration kBeatEvery = 20s;

}  // namespace longhaul::transfer
