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
 * Between longhaul_open, which makes files, and longhaul_close, which waits a second at most, no call of a
 * run blocks on a disk, a network or another process, and none throws or aborts: what goes wrong behind them
 * is counted (longhaul_status) and the training goes on. A NULL run is allowed everywhere and does nothing,
 * so that a rank without a log needs no ifs. All calls may come from any thread; longhaul_poll and
 * longhaul_done from one thread of rank 0.
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
/* A checkpoint of `step` is whole and durable in `folder`. Queued. One with a file `pending-home` in it is being
 * fetched by a laptop: leave it, or that ends the fetch. */
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

/* A dataset at the site, read by a loader's thread: these calls block on the disk, or at most 2 s on a
 * gateway, and on nothing else.
 * Reading may begin before a push has ended. No byte is handed out whose chunk this process did not
 * check against the hash in the manifest. One thread at a time.
 *
 *   longhaul_feed* feed = longhaul_feed_open(&options, why, sizeof why);
 *   while (longhaul_feed_ready(feed, why, sizeof why) == LONGHAUL_NOT_YET) wait_a_little();
 *   if (longhaul_feed_read(feed, file, offset, bytes, size, why, sizeof why) == LONGHAUL_HERE) ..
 */
typedef struct longhaul_feed longhaul_feed;

typedef struct longhaul_feed_options {
  size_t size;          /* sizeof(longhaul_feed_options) */
  const char* root;     /* the streamer's ROOT, on this host or its cluster's file system, same user;
                           or "gateway:FILE": a pass to a gateway (docs/gateway.md) */
  const char* dataset;  /* "NAME": its newest version, or what is on its way if there is none;
                           "NAME@v000002"; "NAME@incoming" */
  const char* identity; /* of longhaul_feed_identity, when an earlier start read it; or NULL */
  uint64_t cache_bytes; /* for checked chunks; 0: 64 MiB */
} longhaul_feed_options;

enum { LONGHAUL_NOT_YET = 0, LONGHAUL_HERE = 1, LONGHAUL_BROKEN = -1 };

longhaul_feed* longhaul_feed_open(const longhaul_feed_options* options, char* error,
                                  size_t error_size);
/* LONGHAUL_HERE once everything of the dataset is named, which it is long before it is here; from
 * then on the feed is of that content. LONGHAUL_BROKEN: `error` says why. */
int longhaul_feed_ready(longhaul_feed* feed, char* error, size_t error_size);
/* "NAME sha256:..", the same on its way and as a version; valid until the feed is closed. */
const char* longhaul_feed_identity(const longhaul_feed* feed);
size_t longhaul_feed_files(const longhaul_feed* feed);
const char* longhaul_feed_name(const longhaul_feed* feed, size_t file); /* from the dataset's root */
uint64_t longhaul_feed_bytes(const longhaul_feed* feed, size_t file);
/* Fills `out`, or leaves it alone. */
int longhaul_feed_read(longhaul_feed* feed, size_t file, uint64_t offset, void* out, size_t size,
                       char* error, size_t error_size);
typedef struct longhaul_range {
  size_t file;
  uint64_t offset, bytes;
} longhaul_range;
/* What will be read next, soonest first; replaces what was said before. What of it is not here crosses
 * the link before the rest of its push, the first `urgent` ranges before everything that fills the link.
 * A hint: what is not named arrives, too, and what is named may still be NOT_YET. At most 16,384
 * chunks of it count, about 1 GiB. */
void longhaul_feed_need(longhaul_feed* feed, const longhaul_range* ranges, size_t count,
                        size_t urgent);
/* What the last LONGHAUL_NOT_YET lacked, for people; valid until the next call. */
const char* longhaul_feed_waiting_for(const longhaul_feed* feed);
void longhaul_feed_close(longhaul_feed* feed);

#ifdef __cplusplus
}
#endif
#endif
