// Command: what a person asks of a running attempt, and ControlBook: which of them are still to be
// done. A command has an id chosen by its sender and is done at most once, however often it
// arrives: the record that it was applied, in the run log, is also the answer to the sender, the
// mark on the chart and the check against doing it again. Expiry is judged here, beside the
// training loop, where the command would take effect.
//
// Not thread-safe; the client locks.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "lib/run/run_log.hpp"

namespace longhaul::run {

enum class CommandKind : std::uint8_t {
  kSet = 1,    // name = value
  kScale = 2,  // name *= value: on top of the schedule
  kPause = 3,
  kResume = 4,
  kCheckpoint = 5,  // write one now
  kStop = 6,        // write a checkpoint, then end
};
constexpr auto wire_values(CommandKind) {
  using wire::Known;
  return std::array{Known{CommandKind::kSet, "set"},
                    Known{CommandKind::kScale, "scale"},
                    Known{CommandKind::kPause, "pause"},
                    Known{CommandKind::kResume, "resume"},
                    Known{CommandKind::kCheckpoint, "checkpoint"},
                    Known{CommandKind::kStop, "stop"}};
}

struct Command {
  std::uint64_t id = 0;  // never 0
  CommandKind kind = CommandKind::kPause;
  wire::Text<63> name;  // kSet, kScale: of the parameter
  double value = 0;
  wire::Text<255> who;
  WallTime expires;  // zero: never
  template <class F>
  static void fields(F& f) {
    f(&Command::id, "id", "chosen by the sender, not 0");
    f(&Command::kind, "kind");
    f(&Command::name, "name", "of the parameter, for set and scale");
    f(&Command::value, "value");
    f(&Command::who, "who", "sends it");
    f(&Command::expires, "expires", "0: never");
  }
};

// "lr=0.001", "lr*=0.5", "pause", ..: as it stands on a command line and in a run log's event.
std::string shown(const Command& command);
// kUsage: no command, a name with other characters than letters, digits, . _ - /, or no finite
// number.
Result<Command> parse_command(const std::string& text);

// A command's file in FOLDER/control: its message, then CRC-32C of it.
ByteVector command_file(const Command& command);
Result<Command> read_command_file(Bytes bytes);

constexpr std::size_t kCommandsPendingMax = 64;

class ControlBook {
 public:
  // Events of this run's logs, oldest first: what was decided, and what is in force.
  void on_event(const RunEvent& event);

  // A command arrived. Nothing: it is pending, was known before, or has no id. Else the event to
  // log: expired, or refused because it makes no sense or too many are pending.
  std::optional<RunEvent> on_command(WallTime now, std::uint64_t step, const Command& command);
  // The oldest pending one that has not expired; it is no longer pending. The events of those that
  // have, for the log, are appended to `expired`.
  std::optional<Command> take(WallTime now, std::uint64_t step, std::vector<RunEvent>& expired);
  bool pending() const { return !pending_.empty(); }
  // How it ended, for the log; from here on it is known. refused: `text` says why.
  RunEvent done(WallTime now, std::uint64_t step, const Command& command, EventKind how,
                std::string text = {});

  // The log says what became of it: whoever keeps it for another try may let it go.
  bool decided(std::uint64_t id) const { return decided_.contains(id); }

  // Settings in force: by parameter, the last one applied. A resumed attempt applies them again.
  const std::map<std::string, Command>& in_force() const { return in_force_; }

 private:
  std::deque<Command> pending_;
  std::set<std::uint64_t> known_;    // arrived, whatever became of them
  std::set<std::uint64_t> decided_;  // the log says what became of them
  std::map<std::string, Command> in_force_;
};

}  // namespace longhaul::run
