// Where a named link is found: a Unix socket NAME.sock in /run/netsim (root), else in
// $XDG_RUNTIME_DIR/netsim or /tmp/netsim-UID. A socket whose link is gone is replaced.
#pragma once

#include <string>

#include "netsim/config.hpp"
#include "netsim/emulator/channel.hpp"

namespace netsim::emulator {

Result<> check_name(const std::string& name);  // letters, digits, '.', '_', '-'; at most 32
// The path of its socket, with a folder for it and nothing there; kBusy: such a link is running.
Result<std::string> free_path(const std::string& name);
Result<Fd> listen_as(const std::string& name);        // at free_path()
Result<Channel> connect_to(const std::string& name);  // kNotFound: no such link
void forget(const std::string& name);                 // removes the socket, if nobody answers

}  // namespace netsim::emulator
