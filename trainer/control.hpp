// Control: what people and signals ask of a run. Commands come through the Reporter port and are
// polled at a step's boundary; a signal sets a flag. Settings: the numbers that people steer.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::trainer {

struct Command {
  enum class Verb : std::uint8_t { kSet, kScale, kPause, kResume, kCheckpoint, kStop };
  std::uint64_t id = 0;  // the giver's
  Verb verb = Verb::kCheckpoint;
  std::string key;   // of kSet and kScale: a name of Settings
  double value = 0;  // of kSet and kScale
  std::string who;   // gave it
};

class Control {
 public:
  void post_stop_from_signal(Time now) {  // signal-safe; the first one counts
    std::int64_t none = kNever;
    stop_ns_.compare_exchange_strong(none, now.time_since_epoch().count(),
                                     std::memory_order_relaxed);
  }
  bool stop_asked() const { return stop_ns_.load(std::memory_order_relaxed) != kNever; }
  std::optional<Time> stop_asked_at() const {
    const std::int64_t ns = stop_ns_.load(std::memory_order_relaxed);
    return ns == kNever ? std::nullopt : std::optional(Time(Duration(ns)));
  }
  void wait(Duration span) const;  // a paused run's nap

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::int64_t> stop_ns_{kNever};
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
};

// What a person has changed: `set` pins a number, whatever the schedule says; `scale` multiplies
// what the schedule says, and holds that factor however often it is said, so that a command carried
// out twice is carried out once. The last of either counts, per name. Kept in checkpoints.
class Settings {
 public:
  // kUsage: no such name, or a value that makes no sense for it.
  Result<> change(const Command& command);
  bool has(std::string_view key) const { return changes_.contains(key); }
  double of(std::string_view key, double scheduled) const;
  // The rate of the matrices ("lr"), and of the rest: that follows "lr" in proportion until
  // "rest_lr" is steered by itself.
  struct Rates {
    double matrices, rest;
  };
  Rates rates(double rate, double rest_rate, double factor) const;
  // As numbers of a checkpoint: "pin.lr", "scale.lr". Others there are left alone.
  void save(std::map<std::string, double>& numbers) const;
  void load(const std::map<std::string, double>& numbers);

 private:
  struct Change {
    bool pins;
    double value;
  };
  std::map<std::string, Change, std::less<>> changes_;
};

}  // namespace longhaul::trainer
