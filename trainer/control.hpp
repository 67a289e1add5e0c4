// Control: what people and signals ask of a run. Commands come through the Reporter port and are
// polled at a step's boundary; a signal sets a flag. Settings: the numbers that people steer.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
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
  void post_stop_from_signal() { stop_.store(true, std::memory_order_relaxed); }  // signal-safe
  bool stop_asked() const { return stop_.load(std::memory_order_relaxed); }
  void wait(Duration span) const;  // a paused run's nap

 private:
  std::atomic<bool> stop_{false};
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
