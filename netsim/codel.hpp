// CoDelState: the controller of RFC 8289, as a verdict per packet leaving the queue. It drops (or
// marks) once the sojourn time has stayed over `target` for an `interval`, then at interval /
// sqrt(count).
#pragma once

#include <cstdint>

#include "netsim/config.hpp"

namespace netsim {

class CoDelState {
 public:
  explicit CoDelState(const CoDel& config) : config_(config) {}
  void reconfigure(const CoDel& config) { config_ = config; }
  // For each packet taken from the queue, in order. backlog_bytes: what the queue still holds.
  // True: drop it and ask again with the next one, or mark it and let it go.
  bool should_drop(Time now, Duration sojourn, std::uint64_t backlog_bytes);
  void on_empty() { first_above_.reset(); }

 private:
  bool over_target_for_an_interval(Time now, Duration sojourn, std::uint64_t backlog_bytes);
  Time next_after(Time from) const;

  CoDel config_;
  std::optional<Time> first_above_;
  Time drop_next_{};
  std::uint64_t count_ = 0, last_count_ = 0;
  bool dropping_ = false;
  bool advance_ = false;  // a drop was decided; drop_next_ moves when the next packet is still over
};

}  // namespace netsim
