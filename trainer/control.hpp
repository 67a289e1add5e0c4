// Control: what people and signals ask of a run, handed to the training thread at a step's
// boundary. The training thread polls one atomic a step; everything else is on the caller's side.
// A command is applied at the step after the one that saw it, so that ranks can agree on it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::trainer {

struct Command {
  enum class Verb : std::uint8_t { kSet, kPause, kResume, kCheckpoint, kStop };
  std::uint64_t id = 0;  // the giver's; a repeated one is applied once
  Verb verb = Verb::kCheckpoint;
  std::string key;   // of kSet: "rate", "rest_rate", "clip", "kappa"
  double value = 0;  // of kSet
  std::string who;   // for the record: "signal", a peer's name
};
// "set rate=1e-3", "pause", "resume", "checkpoint", "stop".
Result<Command> parse_command(std::string_view text);

class Control {
 public:
  void post(Command command);    // any thread
  void post_stop_from_signal();  // async-signal-safe
  bool pending() const { return pending_.load(std::memory_order_relaxed); }
  void wait(Duration most);     // until something is posted; the training thread
  std::vector<Command> take();  // the training thread; each id once

 private:
  std::atomic<bool> pending_{false}, signalled_{false};
  std::mutex mutex_;
  std::condition_variable posted_;
  std::vector<Command> waiting_;
  std::vector<std::uint64_t> seen_;
};

}  // namespace longhaul::trainer
