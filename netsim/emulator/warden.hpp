// Warden: runs one command on one side of a link and leaves no process behind. Between us and the
// command stands a small process that adopts the command's orphans; when the command ends, or we do
// (also by kill -9), it kills whatever is left. If it is itself killed, the orphans come to us.
//
//   us (supervise) -- warden -- command -- its children ..
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "netsim/config.hpp"
#include "netsim/emulator/channel.hpp"

namespace netsim::emulator {

struct Command {
  std::vector<std::string> argv;                                 // found in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added
  int net_namespace = -1, user_namespace = -1;                   // to be entered; -1: stay
  bool drop_capabilities = false;
  bool clamp_sockets = false;  // socket_clamp.hpp
};

class Warden {
 public:
  // Call before starting threads.
  static Result<Warden> start(const Command& command);

  int fd() const { return channel_.fd(); }  // readable: status() may know more
  void signal(int number);                  // to the command
  // The command's exit code as a shell has it (128 + signal; 126, 127: could not be run), once all
  // its processes are gone; nullopt: still running.
  std::optional<int> status();
  pid_t pid() const { return pid_; }

 private:
  Warden(pid_t pid, Channel channel) : pid_(pid), channel_(std::move(channel)) {}
  pid_t pid_;
  Channel channel_;
  std::optional<int> status_;
};

void adopt_orphans();  // this process becomes the parent of orphans below it
// Kills and reaps all children of this process but `spared`, and theirs as they come up.
void kill_children(const std::vector<pid_t>& spared);

}  // namespace netsim::emulator
