// Capabilities of a command about to be run. Each returns whether it worked.
#pragma once

namespace netsim::emulator {

// None, also if the user is root and the program would get them by exec.
bool drop_capabilities();
// Inside a user namespace of ours: exec keeps what we have there (tcpdump, ip and low ports work).
bool keep_capabilities();

}  // namespace netsim::emulator
