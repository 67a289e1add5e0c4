/* longhaul.h: what a training program says to longhaul, and hears from it.
 *
 *   longhaul_run* run = longhaul_open(&(longhaul_options){.size = sizeof(longhaul_options),
 *                                                         .folder = "runs/first"}, why, sizeof why);
 *   uint32_t loss = longhaul_series(run, "train/loss");
 *   for (uint64_t step = 0; step < steps; ++step) {
 *     longhaul_command todo;
 *     while (longhaul_poll(run, step, &todo)) { ...; longhaul_done(run, &todo, step, LONGHAUL_APPLIED, NULL); }
 *     ...
 *     longhaul_log(run, loss, step, value);
 *   }
 *   longhaul_close(run, "done");
 *
 * No call blocks on a disk, a network or another process, and none throws or aborts: what goes wrong
 * behind them is counted (longhaul_status) and the training goes on. A NULL run is allowed everywhere
 * and does nothing, so that a rank without a log needs no ifs. All calls may come from any thread;
 * longhaul_poll and longhaul_done from one thread of rank 0.
 */
#ifndef LONGHAUL_H
#define LONGHAUL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct longhaul_run longhaul_run;

typedef struct longhaul_options {
  size_t size;             /* sizeof(longhaul_options): later versions add fields at the end */
  const char* folder;      /* the run's folder, made if missing; on the cluster's shared file system */
  const char* config_json; /* what the run was started with, or NULL */
  const char* shared;      /* folder on tmpfs for the ring, or NULL: $LONGHAUL_SHM, else /dev/shm */
  uint32_t threads;        /* that may log; 0: 8. Each takes 2 MiB of tmpfs at its first point */
  uint32_t forget_controls; /* not 0: settings of earlier attempts are not handed out again */
} longhaul_options;

/* Begins the next attempt of the run: its number is taken by an atomic create in FOLDER/log. Before
 * that, what an earlier attempt of this host left in its ring is saved. NULL: `error` says what,
 * why and what to do. */
longhaul_run* longhaul_open(const longhaul_options* options, char* error, size_t error_size);

uint32_t longhaul_attempt(const longhaul_run* run); /* from 1 */
/* Not 0: a newer attempt of the run has begun; this one should end before it writes anything. Looks at
 * the disk at most once a second, on the writer's thread. */
int longhaul_superseded(const longhaul_run* run);

/* The number of a series; the same for the same name. Takes a lock and may allocate: once, not in the
 * loop. 4294967295 if there are too many or the name is not 1 to 247 bytes; points of it are dropped. */
uint32_t longhaul_series(longhaul_run* run, const char* name);
/* One point: a few nanoseconds, no system call but the first of a thread and, once a step, the clock. */
void longhaul_log(longhaul_run* run, uint32_t series, uint64_t step, double value);
/* A note on the charts at this step. Queued for the writer's thread. */
void longhaul_mark(longhaul_run* run, uint64_t step, const char* text);
/* A checkpoint of `step` is whole and durable in `folder`. Queued. */
void longhaul_checkpoint(longhaul_run* run, uint64_t step, const char* folder);
/* Training goes on from a checkpoint of `step`. Queued. */
void longhaul_resumed(longhaul_run* run, uint64_t step, const char* folder);

enum {
  LONGHAUL_SET = 1,
  LONGHAUL_SCALE = 2,
  LONGHAUL_PAUSE = 3,
  LONGHAUL_RESUME = 4,
  LONGHAUL_CHECKPOINT = 5,
  LONGHAUL_STOP = 6
};
enum { LONGHAUL_APPLIED = 2, LONGHAUL_REFUSED = 4 };

typedef struct longhaul_command {
  uint64_t id;
  uint32_t kind;
  char name[64]; /* of the parameter, for SET and SCALE */
  double value;
  char who[256];
} longhaul_command;

/* The next command to carry out; 0 if there is none, at the price of one relaxed load. After a restart
 * the settings in force come first, with the ids they had. */
int longhaul_poll(longhaul_run* run, uint64_t step, longhaul_command* command);
/* What became of it: LONGHAUL_APPLIED from `step` on, or LONGHAUL_REFUSED and why. Written to the run
 * log, which is the sender's answer. */
void longhaul_done(longhaul_run* run, const longhaul_command* command, uint64_t step, int how,
                   const char* why);

typedef struct longhaul_counts {
  size_t size;            /* in: sizeof(longhaul_counts) */
  uint64_t logged;        /* records in the run log of this attempt */
  uint64_t dropped;       /* points that a full ring turned away */
  uint64_t failed_writes; /* of the log: disk full, quota; tried again each second */
  int last_errno;         /* of the last of those */
} longhaul_counts;
void longhaul_status(const longhaul_run* run, longhaul_counts* counts);

/* Writes what is left, at most for a second, and ends the attempt. */
void longhaul_close(longhaul_run* run, const char* why);

#ifdef __cplusplus
}
#endif
#endif
