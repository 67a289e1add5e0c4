// Waiting for a transfer of ours to end, with the live line: progress, why it waits, Ctrl-C.
#pragma once

#include <string>

#include "lib/cli/progress_line.hpp"
#include "proxy/app.hpp"
#include "proxy/connection.hpp"

namespace longhaul::proxy {

// What a progress line shows of it.
cli::ProgressView view_of(const std::string& title, const transfer::Progress& progress, Time now,
                          const Connection& connection);
void tell_json(App& app, const cli::ProgressView& view);

// Returns the end of the transfer, or why the session ended. Ctrl-C cancels the transfer; what has
// arrived stays.
io::Task<Result<transfer::Finished>> watch_transfer(App& app, Connection& connection,
                                                    transfer::TransferId transfer,
                                                    std::string title);

}  // namespace longhaul::proxy
