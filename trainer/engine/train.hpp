// A training run, on one process or as one of several ranks: feed, forward and backward, optimizer,
// reports, evaluations, checkpoints, commands, and the ledger of where its time went.
#pragma once

#include "lib/cli/console.hpp"
#include "trainer/checkpoint.hpp"
#include "trainer/control.hpp"
#include "trainer/data_source.hpp"
#include "trainer/ledger.hpp"
#include "trainer/ranks/place.hpp"
#include "trainer/reporter.hpp"
#include "trainer/train_options.hpp"

namespace longhaul::trainer {

// What a command has around it.
struct Outside {
  cli::Console& console;
  Control& control;
  OpenReporter open_reporter;
  OpenFeed open_feed;  // none: this build has no datasets
  RankPlace place{};   // which rank of how many this is
};

Time time_now();  // monotonic

struct TrainSummary {
  std::uint64_t attempt = 0, first_step = 0, steps = 0;  // steps: done in all, earlier attempts too
  bool stopped = false;                                  // by a command or signal, before the end
  double loss = 0, eval_loss = 0;                        // the last ones; eval_loss < 0: none
  double tokens_per_second = 0;                          // over this attempt's wall time
  double polar_seconds = 0;
  double device_busy = 0, device_idle = 0;  // seconds, by a device's events; both 0 on the CPU
  std::uint64_t refused = 0;                // updates
  Duration wall{}, checkpoint_longest{};
  std::uint64_t checkpoint_bytes = 0;  // of the last one, and how long its writing took behind
  double checkpoint_seconds = 0;
  std::array<Duration, kColumns> columns{};
  Duration longest_data_wait{};
  Reporter::Untold untold{};  // of its reports
  bool at_extrapolated =
      false;  // where training's losses and norms were taken; false: at the weights
};

// Runs until the steps are done or something stops it. The first error of the data or of the
// gradient ends it after a checkpoint of what is good.
Result<TrainSummary> train(Outside& outside, const TrainOptions& options);
// The summary as text for people, or as one JSON object.
std::string to_text(const TrainSummary& summary, bool json);

}  // namespace longhaul::trainer
