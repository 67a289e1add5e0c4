// TrainTable: the trains that have segments inside links. A segment's cookie is its train's slot,
// its number and what has happened to it; a slot is free again when the last segment was delivered
// or dropped. Slots never move, so growth copies nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "lib/base/assert.hpp"
#include "netsim/emulator/train.hpp"

namespace netsim::emulator {

class TrainTable {
 public:
  // What has happened to a segment on its way so far, beside its slot and number.
  static constexpr std::uint64_t kMarked = 1ULL << 63, kCorrupt = 1ULL << 62, kMended = 1ULL << 61;
  static constexpr std::uint64_t kMarks = kMarked | kCorrupt | kMended;
  static constexpr std::uint64_t kHop = 1ULL << 48;  // counted in 7 bits
  static std::uint64_t hops_of(std::uint64_t cookie) { return cookie / kHop % 128; }

  static std::uint64_t cookie(std::uint32_t slot, std::uint32_t segment) {
    return std::uint64_t{slot} << 16 | segment;
  }
  static std::uint32_t slot_of(std::uint64_t cookie) {
    return static_cast<std::uint32_t>(cookie >> 16);
  }
  static std::uint32_t segment_of(std::uint64_t cookie) {
    return static_cast<std::uint32_t>(cookie & 0xFFFFU);
  }

  std::uint32_t put(Train train, std::uint32_t from, std::uint32_t to) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    const std::uint32_t segments = train.segments();
    slots_[slot] = {std::move(train), segments, from, to};
    return slot;
  }
  const Train& at(std::uint32_t slot) const { return slots_[slot].train; }
  std::uint32_t from(std::uint32_t slot) const { return slots_[slot].from; }  // hosts
  std::uint32_t to(std::uint32_t slot) const { return slots_[slot].to; }
  void keep_first(std::uint32_t slot, std::uint32_t count) { slots_[slot].train.keep_first(count); }
  // One more: a copy that goes its own way from here.
  void retain(std::uint32_t slot) { ++slots_[slot].waiting; }
  void release(std::uint32_t slot, std::uint32_t segments) {
    Slot& s = slots_[slot];
    ASSERT(s.waiting >= segments);
    s.waiting -= segments;
    if (s.waiting > 0) return;
    s.train = Train();
    free_.push_back(slot);
  }
  std::size_t size() const { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    Train train;
    std::uint32_t waiting = 0;
    std::uint32_t from = 0, to = 0;
  };
  std::deque<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace netsim::emulator
