// Waiting for a transfer of ours to end, with the live line: progress, why it waits, Ctrl-C.
#pragma once

#include <string>

#include "proxy/app.hpp"
#include "proxy/connection.hpp"

namespace longhaul::proxy {

// Returns the end of the transfer, or why the session ended. Ctrl-C cancels the transfer; what has
// arrived stays.
io::Task<Result<transfer::Finished>> watch_transfer(App& app, Connection& connection,
                                                    transfer::TransferId transfer,
                                                    std::string title);

}  // namespace longhaul::proxy
