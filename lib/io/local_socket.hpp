// LocalSocket: streams between processes of one user on this machine, over a socket in the file
// system (AF_UNIX) that nobody else may open: mode 0600, and the kernel is asked who is at the
// other end. Lives on Env's strand.
#pragma once

#include <memory>
#include <string>

#include "lib/io/env.hpp"

namespace longhaul::io {

// Replaces what stands there: whoever calls this holds a lock that says no other process listens
// there. kUsage: the path is longer than the system takes (107 bytes). accept() gives streams of
// this user's processes only; others are hung up on.
Result<std::unique_ptr<Listener>> listen_local(const Executor& executor, const std::string& path);
// kNotFound: nobody listens there. kPermission: another user does.
Task<Result<std::unique_ptr<Stream>>> dial_local(Executor executor, std::string path);

}  // namespace longhaul::io
