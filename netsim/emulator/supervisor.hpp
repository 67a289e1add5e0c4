// Supervisor: what the user's own netsim process does while a command runs behind a link. It passes
// signals on to the command, sees the emulator or the command end, and leaves no process behind.
//
// A signal from the terminal reaches the command without us, as it is in the same process group;
// only those that were sent to us alone are passed on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "netsim/emulator/warden.hpp"

namespace netsim::emulator {

class Supervisor {
 public:
  // Blocks the signals it handles and adopts orphans. Make it before anything is started.
  Supervisor();
  ~Supervisor();  // gives the terminal back
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  struct Outcome {
    std::optional<int> exit_code;         // of the command; none: it did not end by itself
    std::optional<std::string> farewell;  // the emulator's last line, if it went down
    bool emulator_gone = false;
    bool interrupted = false;  // a signal, with no command to pass it to
  };
  // Until the command ends or the emulator goes down. `command` may be null: then SIGINT, SIGTERM
  // and SIGHUP end the wait. Commands in `others` (the far side's) may end as they like.
  Outcome watch(Warden* command, const std::vector<Warden*>& others, Channel& emulator);

 private:
  enum class Heard : bool { kNothing, kEnd };
  Heard hear(Warden* command);

  Fd signals_, terminal_;
  pid_t foreground_ = -1;  // who had the terminal, if that was us
};

}  // namespace netsim::emulator
