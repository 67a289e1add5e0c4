// Ring: the path of a point out of a training thread. One producer, one consumer, in memory that
// both processes map, so that a kill -9 of either loses nothing that push() had taken in.
//
// push() takes no lock, makes no system call, allocates nothing and never waits. A full ring counts
// what it turns away and keeps the newest point of each series beside itself, so that a screen is
// right again as soon as somebody reads. Memory is trusted by the producer for liveness only:
// whatever a broken consumer writes, push() stays inside its ring.
//
// Bytes (docs/run.md, "Ring"): a head of 192 bytes, kKeptSlots kept points of 64 bytes, then the
// records, 32 bytes each, a power of two of them. All integers little-endian.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/run/point.hpp"

namespace longhaul::run {

constexpr std::size_t kKeptSlots = 1024;
constexpr std::size_t kRingRecordsMax = std::size_t{1} << 24;
constexpr std::uint32_t kRingsMax = 256;  // in one shared log

namespace layout {

struct alignas(64) ProducerLine {
  std::atomic<std::uint64_t> head;     // records ever pushed
  std::atomic<std::uint64_t> dropped;  // points turned away, those kept as newest among them
  std::atomic<std::uint64_t> kept;     // writes into kept slots
};
struct alignas(64) ConsumerLine {
  std::atomic<std::uint64_t> tail;  // records let go by the consumer
};
struct alignas(64) Spare {};
struct RingHead {
  ProducerLine producer;
  ConsumerLine consumer;
  Spare spare;
};
static_assert(sizeof(RingHead) == 192);

// Written by the producer only, under a sequence lock: odd while a write is under way.
struct alignas(64) KeptPoint {
  std::atomic<std::uint64_t> version;
  std::atomic<std::uint64_t> series_plus_one;  // 0: free
  std::atomic<std::uint64_t> step;
  std::atomic<std::uint64_t> at_ns;
  std::atomic<std::uint64_t> value_bits;
};
static_assert(sizeof(KeptPoint) == 64);

struct Record {
  std::uint64_t step;
  std::int64_t at_ns;
  double value;
  std::uint32_t series;
  std::uint32_t zero;
};
static_assert(sizeof(Record) == 32);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace layout

// Bytes of a ring with `records` places (a power of two).
constexpr std::size_t ring_bytes(std::size_t records) {
  return sizeof(layout::RingHead) + kKeptSlots * sizeof(layout::KeptPoint) +
         records * sizeof(layout::Record);
}

// `memory`: ring_bytes(records), aligned to 64, zeroed before its first use; outlives the producer.
// One thread at a time.
class RingProducer {
 public:
  RingProducer(MutableBytes memory, std::size_t records);
  void push(const Point& point) noexcept {
    if (next_ - tail_seen_ > mask_ && full()) [[unlikely]]
      return keep(point);
    records_[next_ & mask_] = {point.step, point.at.ns, point.value, point.series.value(), 0};
    head_->producer.head.store(++next_, std::memory_order_release);
  }

 private:
  bool full() noexcept;
  void keep(const Point& point) noexcept;

  layout::RingHead* head_;
  layout::KeptPoint* kept_;
  layout::Record* records_;
  std::uint64_t mask_;
  // Private copies: a push only writes to shared memory, so that cold lines there cost no wait.
  std::uint64_t next_, tail_seen_, dropped_;
};

// What the consumer has seen of a kept point: its slot and version, so that it is told once.
struct KeptMark {
  std::uint32_t slot = 0;
  std::uint64_t version = 0;
};

// The other end. peek() and peek_kept() change nothing in the ring; let_go() makes room. One thread
// at a time.
class RingConsumer {
 public:
  RingConsumer(MutableBytes memory, std::size_t records);

  std::uint64_t position() const { return position_; }  // the next record peek() returns
  // Begins at another place: records before it were taken by an earlier consumer whose let_go()
  // was lost. False, and nothing changes, if the ring never held or no longer holds it.
  bool resume_at(std::uint64_t position);
  // Appends up to `most` points from position() on; returns how many. Moves position().
  std::size_t take(std::size_t most, std::vector<Point>& out);
  void let_go();  // everything before position() may be overwritten
  std::uint64_t waiting() const;

  // Appends the kept points that were not told before, with their marks.
  void take_kept(std::vector<Point>& out, std::vector<KeptMark>& marks);
  void resume_kept(const KeptMark& mark);  // told by an earlier consumer
  std::uint64_t dropped() const;

 private:
  std::uint64_t head() const;

  layout::RingHead* head_;
  layout::KeptPoint* kept_;
  const layout::Record* records_;
  std::uint64_t mask_;
  std::uint64_t position_;
  std::uint64_t kept_seen_ = 0;
  std::vector<std::uint64_t> versions_;  // per slot
};

}  // namespace longhaul::run
