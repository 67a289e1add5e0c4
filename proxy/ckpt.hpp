// What `ckpt pull` and `ckpt follow` share: places, the folder on this machine, words.
#pragma once

#include "lib/checkpoint/home_sink.hpp"
#include "proxy/commands.hpp"
#include "proxy/connection.hpp"
#include "proxy/run_watch.hpp"

namespace longhaul::proxy {

struct CheckpointHome {
  std::string path;  // absolute
  std::string run;   // SITE/RUN
  std::shared_ptr<store::Files> files;
  std::optional<BytesPerSecond> limit;  // of what comes home
  // Of the session that brings it.
  std::uint64_t required() const {
    return session::kCapabilityCheckpoints | (limit ? session::kCapabilityPace : 0);
  }
};
// The folder is made if it is missing; empty: checkpoints/SITE/RUN below the current one.
Result<CheckpointHome> open_home(const RunPlace& place, std::string target,
                                 const std::string& limit_rate);

transfer::TransferId start_pull(Time now, Connection& connection, const std::string& run,
                                const CheckpointHome& home, checkpoint::HomeOptions options);
// One line, on stdout with --json, else on stderr.
void tell_home(App& app, const CheckpointHome& home, const checkpoint::Wanted& wanted,
               const transfer::Finished& finished, Duration took);

}  // namespace longhaul::proxy
