// Files of /proc that set something, and settings under /proc/sys/net of the network namespace that
// the calling thread is in.
#pragma once

#include <string>
#include <string_view>

#include "netsim/config.hpp"

namespace netsim::emulator {

// In one write, as the kernel wants it.
Result<> write_kernel_file(const std::string& path, std::string_view text);

// Container runtimes mount /proc/sys read-only. Where that may be undone (CAP_SYS_ADMIN of the
// mount's own user namespace), it is, for the calling thread alone: it gets a mount namespace of
// its own. Where it may not, the error says what to give the container.
Result<> write_kernel_setting(const std::string& path, std::string_view text);

}  // namespace netsim::emulator
