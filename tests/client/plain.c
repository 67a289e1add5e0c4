/* longhaul.h read by a C compiler, and used as its head says. */
#include "lib/client/longhaul.h"

uint64_t plain_c_run(const char* folder, const char* shared);

uint64_t plain_c_run(const char* folder, const char* shared) {
  char why[200];
  longhaul_options options = {0};
  options.size = sizeof options;
  options.folder = folder;
  options.shared = shared;
  longhaul_run* run = longhaul_open(&options, why, sizeof why);
  if (run == NULL) return 0;
  const uint32_t loss = longhaul_series(run, "train/loss");
  for (uint64_t step = 0; step < 10; ++step) {
    longhaul_command todo;
    while (longhaul_poll(run, step, &todo)) longhaul_done(run, &todo, step, LONGHAUL_APPLIED, NULL);
    longhaul_log(run, loss, step, 1.0 / (double)(step + 1));
  }
  longhaul_mark(run, 9, "the end");
  const uint64_t attempt = longhaul_attempt(run);
  longhaul_close(run, "done");
  return attempt;
}
