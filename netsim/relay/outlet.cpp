#include "netsim/relay/outlet.hpp"

#include <algorithm>
#include <utility>

namespace netsim::relay {

std::optional<Outlet::Action> Outlet::poll(Time now) {
  deadline_.reset();
  if (finished_) {
    if (waiting_bytes_ == 0) return std::nullopt;
    return Action{What::kDiscard, std::exchange(waiting_bytes_, 0)};
  }
  if (cut_off_) {
    finished_ = true;
    return Action{What::kFinish};
  }
  if (faults_.blackhole) return std::nullopt;
  if (faults_.limit && passed_bytes_ >= faults_.limit->bytes.value()) {
    finished_ = true;
    return Action{faults_.limit->reset ? What::kReset : What::kClose};
  }
  if (waiting_bytes_ > 0) return poll_bytes(now);
  if (finish_asked_) return poll_finish(now);
  return std::nullopt;
}

std::optional<Outlet::Action> Outlet::poll_bytes(Time now) {
  std::uint64_t bytes = waiting_bytes_;
  if (faults_.limit) bytes = std::min(bytes, faults_.limit->bytes.value() - passed_bytes_);
  if (faults_.slice) {
    if (now < next_slice_) {
      deadline_ = next_slice_;
      return std::nullopt;
    }
    bytes = std::min(bytes, faults_.slice->bytes.value());
    next_slice_ = now + faults_.slice->gap;
  }
  waiting_bytes_ -= bytes;
  passed_bytes_ += bytes;
  return Action{What::kWrite, bytes};
}

std::optional<Outlet::Action> Outlet::poll_finish(Time now) {
  if (!empty_since_) empty_since_ = now;
  const Time due = *empty_since_ + faults_.slow_close;
  if (now < due) {
    deadline_ = due;
    return std::nullopt;
  }
  finished_ = true;
  return Action{What::kFinish};
}

}  // namespace netsim::relay
