// Launcher: `--ranks N` on one host. Starts this program N times with torchrun's variables, passes
// signals on, and ends when all have ended. It does nothing else, so it forks before any thread.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::trainer {

struct Launch {
  std::uint64_t ranks = 2;
  std::vector<std::string> arguments;           // of each, without the program's name
  std::function<void(const std::string&)> say;  // a line for people
  std::function<bool()> stop_asked;             // asked every 50 ms; then each gets SIGTERM, once
  Duration notice = std::chrono::seconds(20);   // for the rest to see that one has died; those that
                                                // still wait for it to join cannot: then SIGTERM
  Duration grace = std::chrono::minutes(10);    // for the rest to end after one has died
  Duration parting = std::chrono::seconds(30);  // for the others after rank 0, which saves for all
};

// The exit code: 0 if all ended so, else rank 0's, or the first other rank's where that is 0; of
// one that a signal ended, that of a lost link, which may be retried.
Result<int> launch(const Launch& work);
// In each of them: ends with its launcher, which is not to leave ranks behind.
void end_with_launcher();

}  // namespace longhaul::trainer
