// TimeQueue: values in order of (time, sequence). What was pushed first among equal times leaves
// first, which is what makes a simulation repeatable. A binary heap over one vector: no allocation
// after warm-up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lib/base/units.hpp"

namespace netsim {

template <class T>
class TimeQueue {
 public:
  struct Entry {
    longhaul::Time at;
    std::uint64_t sequence;
    T value;
  };

  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  const Entry& front() const { return heap_.front(); }  // not on an empty queue

  void push(longhaul::Time at, T value) { push(at, next_++, std::move(value)); }
  // With a sequence of the caller's, for a queue that is merged with others.
  void push(longhaul::Time at, std::uint64_t sequence, T value) {
    heap_.push_back(Entry{at, sequence, std::move(value)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  Entry pop() {
    ASSERT(!heap_.empty());
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    return entry;
  }

 private:
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
  }
  std::vector<Entry> heap_;
  std::uint64_t next_ = 0;
};

}  // namespace netsim
