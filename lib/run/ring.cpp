#include "lib/run/ring.hpp"

#include <algorithm>
#include <bit>

namespace longhaul::run {
namespace {

constexpr std::size_t kProbes = 16;

std::size_t slot_of(std::uint32_t series, std::size_t probe) {
  const std::uint32_t mixed = series * 0x9E37'79B1U;  // Knuth's multiplicative hash
  return ((mixed >> 16) + probe) % kKeptSlots;
}

layout::RingHead* head_in(MutableBytes memory, std::size_t records) {
  ASSERT(std::has_single_bit(records) && records <= kRingRecordsMax);
  ASSERT(memory.size() >= ring_bytes(records));
  ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(layout::RingHead) == 0);
  return reinterpret_cast<layout::RingHead*>(memory.data());
}
layout::KeptPoint* kept_in(MutableBytes memory) {
  return reinterpret_cast<layout::KeptPoint*>(memory.data() + sizeof(layout::RingHead));
}
layout::Record* records_in(MutableBytes memory) {
  return reinterpret_cast<layout::Record*>(kept_in(memory) + kKeptSlots);
}

}  // namespace

RingProducer::RingProducer(MutableBytes memory, std::size_t records)
    : head_(head_in(memory, records)),
      kept_(kept_in(memory)),
      records_(records_in(memory)),
      mask_(records - 1),
      next_(head_->producer.head.load(std::memory_order_relaxed)),
      tail_seen_(head_->consumer.tail.load(std::memory_order_acquire)),
      dropped_(head_->producer.dropped.load(std::memory_order_relaxed)) {}

bool RingProducer::full() noexcept {
  const std::uint64_t tail = head_->consumer.tail.load(std::memory_order_acquire);
  // A tail ahead of the head is not one of ours: treat the ring as full rather than run over it.
  if (next_ - tail > mask_) return true;
  tail_seen_ = tail;
  return false;
}

void RingProducer::keep(const Point& point) noexcept {
  auto& line = head_->producer;
  line.dropped.store(++dropped_, std::memory_order_relaxed);
  const std::uint64_t key = std::uint64_t{point.series.value()} + 1;
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    layout::KeptPoint& slot = kept_[slot_of(point.series.value(), probe)];
    const std::uint64_t owner = slot.series_plus_one.load(std::memory_order_relaxed);
    if (owner != 0 && owner != key) continue;
    const std::uint64_t version = slot.version.load(std::memory_order_relaxed);
    slot.version.store(version | 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    slot.series_plus_one.store(key, std::memory_order_relaxed);
    slot.step.store(point.step, std::memory_order_relaxed);
    slot.at_ns.store(static_cast<std::uint64_t>(point.at.ns), std::memory_order_relaxed);
    slot.value_bits.store(std::bit_cast<std::uint64_t>(point.value), std::memory_order_relaxed);
    slot.version.store((version | 1) + 1, std::memory_order_release);
    line.kept.store(line.kept.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    return;
  }
}

RingConsumer::RingConsumer(MutableBytes memory, std::size_t records)
    : head_(head_in(memory, records)),
      kept_(kept_in(memory)),
      records_(records_in(memory)),
      mask_(records - 1),
      position_(head_->consumer.tail.load(std::memory_order_acquire)),
      versions_(kKeptSlots, 0) {}

// Never more than the ring holds past position(), whatever the shared memory says.
std::uint64_t RingConsumer::head() const {
  const std::uint64_t head = head_->producer.head.load(std::memory_order_acquire);
  const std::uint64_t tail = head_->consumer.tail.load(std::memory_order_relaxed);
  const bool sane = head - tail <= mask_ + 1 && position_ - tail <= head - tail;
  return sane ? head : position_;
}

bool RingConsumer::resume_at(std::uint64_t position) {
  const std::uint64_t head = head_->producer.head.load(std::memory_order_acquire);
  const std::uint64_t tail = head_->consumer.tail.load(std::memory_order_relaxed);
  if (head - tail > mask_ + 1 || position - tail > head - tail) return false;
  position_ = position;
  return true;
}

std::size_t RingConsumer::take(std::size_t most, std::vector<Point>& out) {
  const std::uint64_t there = head();
  const std::uint64_t count = std::min<std::uint64_t>(most, there - position_);
  for (std::uint64_t i = 0; i < count; ++i) {
    const layout::Record& record = records_[(position_ + i) & mask_];
    out.push_back({SeriesId(record.series), record.step, WallTime{record.at_ns}, record.value});
  }
  position_ += count;
  return static_cast<std::size_t>(count);
}

void RingConsumer::let_go() {
  head_->consumer.tail.store(position_, std::memory_order_release);
}

std::uint64_t RingConsumer::waiting() const {
  return head() - position_;
}

void RingConsumer::take_kept(std::vector<Point>& out, std::vector<KeptMark>& marks) {
  const std::uint64_t writes = head_->producer.kept.load(std::memory_order_acquire);
  if (writes == kept_seen_) return;
  bool torn = false;
  for (std::size_t i = 0; i < kKeptSlots; ++i) {
    layout::KeptPoint& slot = kept_[i];
    const std::uint64_t before = slot.version.load(std::memory_order_acquire);
    if (before == versions_[i]) continue;
    const std::uint64_t key = slot.series_plus_one.load(std::memory_order_relaxed);
    const Point point{
        SeriesId(static_cast<std::uint32_t>(key - 1)), slot.step.load(std::memory_order_relaxed),
        WallTime{static_cast<std::int64_t>(slot.at_ns.load(std::memory_order_relaxed))},
        std::bit_cast<double>(slot.value_bits.load(std::memory_order_relaxed))};
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((before & 1) != 0 || slot.version.load(std::memory_order_relaxed) != before) {
      torn = true;  // being written: next time
      continue;
    }
    versions_[i] = before;
    out.push_back(point);
    marks.push_back({static_cast<std::uint32_t>(i), before});
  }
  if (!torn) kept_seen_ = writes;
}

void RingConsumer::resume_kept(const KeptMark& mark) {
  if (mark.slot < versions_.size())
    versions_[mark.slot] = std::max(versions_[mark.slot], mark.version);
}

std::uint64_t RingConsumer::dropped() const {
  return head_->producer.dropped.load(std::memory_order_relaxed);
}

}  // namespace longhaul::run
