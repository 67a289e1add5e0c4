/* A training program without the training: logs points and obeys commands through longhaul.h, until
 * it is told to stop or has done its steps.
 *
 *   trainer_stand_in FOLDER SHARED STEPS MILLISECONDS_A_STEP [FIRST_STEP [SERIES..]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/client/longhaul.h"

static void wait_ms(long ms) {
  const struct timespec span = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&span, NULL);
}

static double lr = 0.01;
static int paused = 0, stopping = 0;

static void obey(longhaul_run* run, const longhaul_command* todo, uint64_t step) {
  int how = LONGHAUL_APPLIED;
  const char* why = NULL;
  switch (todo->kind) {
    case LONGHAUL_SET:
    case LONGHAUL_SCALE:
      if (strcmp(todo->name, "lr") == 0) {
        lr = todo->kind == LONGHAUL_SET ? todo->value : lr * todo->value;
      } else {
        how = LONGHAUL_REFUSED;
        why = "there is only lr";
      }
      break;
    case LONGHAUL_PAUSE:
      paused = 1;
      break;
    case LONGHAUL_RESUME:
      paused = 0;
      break;
    case LONGHAUL_STOP:
      stopping = 1;
      break;
    default:
      break;
  }
  longhaul_done(run, todo, step, how, why);
}

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const uint64_t steps = strtoull(argv[3], NULL, 10);
  const long step_ms = strtol(argv[4], NULL, 10);
  uint64_t step = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
  char why[200];
  longhaul_options options = {0};
  options.size = sizeof options;
  options.folder = argv[1];
  options.shared = argv[2];
  options.config_json = "{\"model\":{\"width\":64},\"lr\":0.01,\"tags\":[\"stand-in\"]}";
  longhaul_run* run = longhaul_open(&options, why, sizeof why);
  if (run == NULL) {
    fprintf(stderr, "%s\n", why);
    return 1;
  }
  printf("attempt %u\n", longhaul_attempt(run));
  fflush(stdout);
  const uint32_t loss = longhaul_series(run, "train/loss");
  const uint32_t rate = longhaul_series(run, "train/lr");
  uint32_t more[64];
  int count = 0;
  for (; count < 64 && count + 6 < argc; ++count) more[count] = longhaul_series(run, argv[count + 6]);
  if (step > 0) longhaul_resumed(run, step, "checkpoint");
  for (; step < steps && !stopping; ++step) {
    longhaul_command todo;
    do {
      while (longhaul_poll(run, step, &todo)) obey(run, &todo, step);
      if (paused) wait_ms(20);
    } while (paused && !stopping);
    longhaul_log(run, loss, step, 1.5 + 2.0 / sqrt((double)(step + 1)) + 0.05 * sin((double)step));
    longhaul_log(run, rate, step, lr);
    for (int i = 0; i < count; ++i)
      longhaul_log(run, more[i], step, (i % 3 == 2 && step % 50 < 5) ? NAN : sin((double)step / (10 + 7 * i)) + i);
    if (step_ms > 0) wait_ms(step_ms);
  }
  longhaul_close(run, stopping ? "stopped" : "done");
  return 0;
}
