// What a site does about checkpoints: lists those of a run, and opens one to be sent. The work is
// for a transfer::Host to hand out; whether the peer may ask is the host's to judge.
#pragma once

#include <memory>

#include "lib/store/files.hpp"
#include "lib/transfer/host.hpp"

namespace longhaul::checkpoint {

// A line for each checkpoint that is announced and still there, in the order of announcement:
// folder below the run's, step, attempt, files and bytes as they stand, when it was announced.
// kUsage: no run can have this name. The files outlive the work.
Result<std::unique_ptr<transfer::AskWork>> list_checkpoints(store::Files& files,
                                                            const wire::Ask& ask);
// Marks it as pending (kPendingHome) until the peer has all of it, in whichever session.
// kNotFound: no such run, it announced no checkpoint of that step, or its folder is gone.
Result<std::unique_ptr<transfer::FetchWork>> open_checkpoint(store::Files& files,
                                                             const wire::FetchCheckpoint& fetch);

}  // namespace longhaul::checkpoint
