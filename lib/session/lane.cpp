#include "lib/session/lane.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
bool later(const Waiting& a, const Waiting& b) {
  return a.start_by != b.start_by ? a.start_by > b.start_by : a.sequence > b.sequence;
}

// A deadline so early that the subtraction would leave the range of Time is simply the most urgent.
Time latest_start(Time deadline, Duration sending) {
  if (deadline < Time::min() + sending) return Time::min();
  return deadline - sending;
}
}  // namespace

void LaneQueue::push(ServiceId service, Message message, BytesPerSecond rate) {
  if (lane_ == Lane::kLive && replace_live(service, message)) return;
  Waiting waiting;
  waiting.key = message.key;
  waiting.service = service;
  waiting.sequence = next_sequence_++;
  if (message.deadline.has_value()) {
    const Duration sending =
        rate.value() == 0 ? Duration{} : rate.time_for(ByteCount(message.body.size()));
    waiting.start_by = latest_start(*message.deadline, sending);
  }
  bytes_ += message.body.size();
  waiting.body = std::move(message.body);
  if (by_deadline()) {
    heap_.push_back(std::move(waiting));
    std::push_heap(heap_.begin(), heap_.end(), later);
  } else {
    fifo_.push(std::move(waiting));
  }
}

// The newest value takes the place of the one that waits: a key that is set often gets no more
// than its turn, and loses none.
bool LaneQueue::replace_live(ServiceId service, Message& message) {
  for (std::size_t i = 0; i < fifo_.size(); ++i) {
    Waiting& old = fifo_[i];
    if (old.key != message.key || old.service != service) continue;
    bytes_ += message.body.size();
    bytes_ -= old.body.size();
    old.body = std::move(message.body);
    return true;
  }
  return false;
}

std::size_t LaneQueue::size() const {
  return by_deadline() ? heap_.size() : fifo_.size();
}

const Waiting& LaneQueue::front() const {
  ASSERT(!empty());
  return by_deadline() ? heap_.front() : fifo_.front();
}

Waiting LaneQueue::pop() {
  ASSERT(!empty());
  Waiting out;
  if (by_deadline()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    out = std::move(heap_.back());
    heap_.pop_back();
  } else {
    out = fifo_.pop();
  }
  bytes_ -= out.body.size();
  return out;
}

void LaneQueue::clear() {
  fifo_.clear();
  heap_.clear();
  bytes_ = 0;
}

void LaneQueue::check() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < fifo_.size(); ++i) bytes += fifo_[i].body.size();
  for (const Waiting& waiting : heap_) bytes += waiting.body.size();
  ASSERT(bytes == bytes_);
  ASSERT(bytes_ <= lane_queue_bytes(lane_) + kMessageMax);
}

}  // namespace longhaul::session
