/* A training program without the training: logs points, obeys commands and announces checkpoints through
 * longhaul.h, until it is told to stop or has done its steps.
 *
 *   trainer_stand_in FOLDER SHARED STEPS MILLISECONDS_A_STEP [FIRST_STEP [SERIES..]]
 *
 * A checkpoint, when it is told to write one and each STAND_IN_CHECKPOINT_EVERY steps, is a folder as
 * docs/trainer.md describes: STAND_IN_FLOATS weights (100,000), and twice as many of state. STAND_IN_CONFIG is the
 * configuration that the run is said to be of.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/client/longhaul.h"

static void wait_ms(long ms) {
  const struct timespec span = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&span, NULL);
}

static const double schedule = 0.01; /* the rate that nobody has changed */
static double lr = 0.01;
static const char* folder;
static int paused = 0, stopping = 0;

/* Weights as training leaves them: of one scale, each step a little different. xorshift, so that a reader can make
 * them again. */
static float weight(uint64_t index, uint64_t step) {
  uint64_t x = (index + 1) * 0x9e3779b97f4a7c15u;
  x ^= x >> 31;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  const double base = (double)(int64_t)(x >> 20) / (double)(INT64_C(1) << 43) - 1.0;
  return (float)(0.02 * base + 1e-5 * sin((double)(index % 1000 + step)));
}

static int write_floats(const char* path, const char* name, uint64_t count, uint64_t step) {
  FILE* file = fopen(path, "wb");
  if (file == NULL) return 0;
  char header[256];
  /* Two tensors: a matrix, and what is left as a vector. */
  const uint64_t rows = count / 64;
  const int length =
      snprintf(header, sizeof header,
               "{\"__metadata__\":{\"format\":\"pt\"},\"%s.matrix\":{\"dtype\":\"F32\",\"shape\":[%llu,64],\"data_offsets\":[0,%llu]},"
               "\"%s.rest\":{\"dtype\":\"F32\",\"shape\":[%llu],\"data_offsets\":[%llu,%llu]}}",
               name, (unsigned long long)rows, (unsigned long long)(rows * 256), name,
               (unsigned long long)(count - rows * 64), (unsigned long long)(rows * 256),
               (unsigned long long)(count * 4));
  const uint64_t size = (uint64_t)length;
  fwrite(&size, sizeof size, 1, file);
  fwrite(header, 1, (size_t)length, file);
  for (uint64_t i = 0; i < count; ++i) {
    const float value = weight(i, step);
    fwrite(&value, sizeof value, 1, file);
  }
  return fclose(file) == 0;
}

static int write_text(const char* path, const char* text) {
  FILE* file = fopen(path, "wb");
  if (file == NULL) return 0;
  fputs(text, file);
  return fclose(file) == 0;
}

/* Written beside, then renamed: it is whole or not there. */
static void checkpoint(longhaul_run* run, uint64_t step) {
  const char* wanted = getenv("STAND_IN_FLOATS");
  const uint64_t floats = wanted != NULL ? strtoull(wanted, NULL, 10) : 100000;
  char top[2048], beside[2100], name[2200], whole[2100];
  snprintf(top, sizeof top, "%s/checkpoints", folder);
  snprintf(beside, sizeof beside, "%s/.step-%08llu", top, (unsigned long long)step);
  snprintf(whole, sizeof whole, "%s/step-%08llu", top, (unsigned long long)step);
  mkdir(top, 0777);
  mkdir(beside, 0777);
  snprintf(name, sizeof name, "%s/model.safetensors", beside);
  int good = write_floats(name, "model", floats, step);
  snprintf(name, sizeof name, "%s/state.safetensors", beside);
  good = good && write_floats(name, "state", 2 * floats, step);
  snprintf(name, sizeof name, "%s/config.json", beside);
  good = good && write_text(name, "{\"architectures\":[\"LlamaForCausalLM\"]}\n");
  snprintf(name, sizeof name, "%s/checkpoint.json", beside);
  good = good && write_text(name, "{\"step\":0}\n");
  if (good && rename(beside, whole) == 0) longhaul_checkpoint(run, step, whole);
}

static void obey(longhaul_run* run, const longhaul_command* todo, uint64_t step) {
  int how = LONGHAUL_APPLIED;
  const char* why = NULL;
  switch (todo->kind) {
    case LONGHAUL_SET:
    case LONGHAUL_SCALE:
      if (strcmp(todo->name, "lr") == 0) {
        /* A factor is held, not multiplied up (docs/trainer.md, "Steering"). */
        lr = todo->kind == LONGHAUL_SET ? todo->value : schedule * todo->value;
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
    case LONGHAUL_CHECKPOINT:
      checkpoint(run, step);
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
  options.folder = folder = argv[1];
  const char* every_text = getenv("STAND_IN_CHECKPOINT_EVERY");
  const uint64_t every = every_text != NULL ? strtoull(every_text, NULL, 10) : 0;
  options.shared = argv[2];
  const char* config = getenv("STAND_IN_CONFIG");
  options.config_json =
      config != NULL ? config : "{\"model\":{\"width\":64},\"lr\":0.01,\"tags\":[\"stand-in\"]}";
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
    if (every > 0 && step > 0 && step % every == 0) checkpoint(run, step);
    if (step_ms > 0) wait_ms(step_ms);
  }
  longhaul_close(run, stopping ? "stopped" : "done");
  return 0;
}
