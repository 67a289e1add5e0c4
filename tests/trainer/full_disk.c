/* Preloaded into longhaul-train by disk_check.py and overlap_check.py: while the file $FULL_WHILE is
 * there, the disk is full, or slow, in one way. What the file holds says which:
 *
 *   write     a checkpoint's second MiB does not fit (ENOSPC), though the file system had said so
 *   quota N   this user may not reserve more than N bytes (EDQUOT)
 *   notes     a checkpoint's notes get their name no sooner than the file is gone
 *   weights   a checkpoint's weights are opened to be read no sooner than that
 *
 * Never installed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (1L << 20)
static atomic_long written; /* of the checkpoint at hand */

/* What the file says behind that word; -1: not that, or it is not there. */
static long said(const char *way) {
  const char *name = getenv("FULL_WHILE");
  char text[32] = "";
  const int fd = name == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const long got = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  return got > 0 && strncmp(text, way, strlen(way)) == 0 ? atol(text + strlen(way)) : -1;
}
static int is_of_checkpoint(int fd) {
  char link[64], place[1024] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  return readlink(link, place, sizeof place - 1) > 0 && strstr(place, "/checkpoints/.step-") != NULL;
}

ssize_t write(int fd, const void *from, size_t n) {
  if (said("write") < 0) {
    written = 0;
  } else if (is_of_checkpoint(fd)) {
    if (written >= MIB) {
      errno = ENOSPC;
      return -1;
    }
    if (n > (size_t)(MIB - written)) n = (size_t)(MIB - written);
    written += (long)n;
  }
  return syscall(SYS_write, fd, from, n);
}

static void wait_for(const char *way) {
  while (said(way) >= 0) usleep(5000);
}
static int ends_with(const char *name, const char *end) {
  const size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

int rename(const char *from, const char *to) {
  if (ends_with(to, "/checkpoint.json")) wait_for("notes");
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int open64(const char *name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  if ((flags & O_ACCMODE) == O_RDONLY && ends_with(name, "/model.safetensors")) wait_for("weights");
  return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}
int open(const char *name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open64(name, flags, mode);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n) {
  const long room = said("quota");
  if (room >= 0 && n > room) {
    errno = EDQUOT;
    return -1;
  }
  static int (*real)(int, int, off64_t, off64_t);
  if (real == NULL) real = (int (*)(int, int, off64_t, off64_t))dlsym(RTLD_NEXT, "fallocate64");
  return real(fd, mode, at, n);
}
int fallocate(int fd, int mode, off_t at, off_t n) { return fallocate64(fd, mode, at, n); }
