// TrainTable: the trains that have segments inside the link. A segment's cookie is its train's slot
// and its number; a slot is free again when the last segment was delivered or dropped. Slots never
// move, so growth copies nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "lib/base/assert.hpp"
#include "netsim/emulator/train.hpp"

namespace netsim::emulator {

class TrainTable {
 public:
  static std::uint64_t cookie(std::uint32_t slot, std::uint32_t segment) {
    return std::uint64_t{slot} << 16 | segment;
  }
  static std::uint32_t slot_of(std::uint64_t cookie) {
    return static_cast<std::uint32_t>(cookie >> 16);
  }
  static std::uint32_t segment_of(std::uint64_t cookie) {
    return static_cast<std::uint32_t>(cookie & 0xFFFFU);
  }

  std::uint32_t put(Train train) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    const std::uint32_t segments = train.segments();
    slots_[slot] = {std::move(train), segments};
    return slot;
  }
  const Train& at(std::uint32_t slot) const { return slots_[slot].train; }
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
  };
  std::deque<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace netsim::emulator
