// SharedLog: the memory one training process logs into: who it is, the names of its series, and a
// ring per logging thread. It lies in a file on tmpfs that the process, its drainer and, after a
// crash, whoever cleans up behind it all map. Nothing in it needs repair after a kill -9: what a
// producer published stays published.
//
// The opener believes nothing: sizes, counts and names are checked against the mapping before use.
// Threads: create(), open() and add_series() belong to one thread at a time (the client locks);
// rings to one producer and one consumer each.
//
// Bytes: docs/run.md, "Shared log".
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "lib/run/ring.hpp"

namespace longhaul::run {

constexpr std::size_t kSharedFolderMax = 4000;

struct SharedLogOptions {
  std::uint32_t attempt = 1;
  std::uint64_t process = 0;            // pid, for messages
  WallTime began{};                     // as the log's start says
  std::string_view folder{};            // of the run; one over kSharedFolderMax is not told
  std::uint32_t rings = 8;              // threads that may log
  std::uint32_t ring_records = 65'536;  // a power of two: 2 MiB of tmpfs each
};

// Whose it is.
struct SharedHead {
  std::uint32_t attempt = 0;
  std::uint64_t process = 0;
  WallTime began;      // 0 of a writer before there was such a field, as is `folder` empty
  std::string folder;  // of the run
};

class SharedLog {
 public:
  // Of its first kHeadBytes bytes, unmapped and unlocked: for messages and for finding its
  // run. kMalformed as for open().
  static constexpr std::size_t kHeadBytes = 4096;
  static Result<SharedHead> read_head(Bytes head);
  static std::size_t bytes(const SharedLogOptions& options);
  // `memory`: bytes(options), zeroed, aligned to 64; outlives this and every ring of it.
  static SharedLog create(MutableBytes memory, const SharedLogOptions& options);
  // kMalformed: not a shared log, or cut short.
  static Result<SharedLog> open(MutableBytes memory);

  std::uint32_t attempt() const;
  std::uint64_t process() const;
  WallTime began() const;

  // kNoSeries if there are too many, or the name is empty or too long.
  SeriesId add_series(std::string_view name);
  std::uint32_t series_count() const;
  std::string series_name(SeriesId id) const;  // empty if there is none

  // A ring nobody has yet; nothing if all are taken.
  std::optional<RingProducer> claim_ring();
  std::uint32_t rings() const { return rings_; }
  std::uint32_t rings_claimed() const;
  RingConsumer consumer(std::uint32_t ring);
  MutableBytes ring_memory(std::uint32_t ring) const;  // where it lies
  std::uint64_t dropped() const;  // points turned away by all rings, and unlogged ones

  void count_unlogged() noexcept;  // a point without a ring or a series
  void close() noexcept;           // the process ended its run by itself
  bool closed() const;

 private:
  SharedLog(MutableBytes memory, std::uint32_t rings, std::uint32_t ring_records)
      : memory_(memory), rings_(rings), ring_records_(ring_records) {}

  MutableBytes memory_;
  std::uint32_t rings_;
  std::uint32_t ring_records_;
};

}  // namespace longhaul::run
