/* Preloaded into a program of ours by failing_calls.py: its Nth allocation, or its Nth system call
 * that touches a file or a socket, fails once. Counts from the start of the process.
 *
 *   FAIL_WHAT=memory|file|socket  FAIL_AT=N  [FAIL_ERRNO=5]
 *   FAIL_COUNT=FILE   at exit, how many there were (a count's own run has no FAIL_AT)
 *   FAIL_SHOW=1       says on stderr where it was
 *   FAIL_TRACE=FILE   each sync, and each rename and removal, a line: what S2 is read from
 *
 * Never installed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long memory_calls, file_calls, socket_calls;
static long fail_at = -1;
static int fail_memory, fail_file, fail_socket, fail_errno = EIO, trace = -1;
static const char *count_file;

#define REAL(name) ((__typeof__(&name))real_of(#name))
static void *real_of(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
  const char *what = getenv("FAIL_WHAT"), *at = getenv("FAIL_AT"), *os = getenv("FAIL_ERRNO");
  const char *traced = getenv("FAIL_TRACE");
  count_file = getenv("FAIL_COUNT");
  if (os != NULL) fail_errno = atoi(os);
  if (traced != NULL) trace = open(traced, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (what == NULL) return;
  fail_memory = strcmp(what, "memory") == 0;
  fail_socket = strcmp(what, "socket") == 0;
  fail_file = !fail_memory && !fail_socket;
  if (at != NULL) fail_at = atol(at);
}

__attribute__((destructor)) static void end(void) {
  if (count_file == NULL) return;
  char text[32];
  const int n = snprintf(text, sizeof text, "%ld\n", fail_memory ? memory_calls : fail_socket ? socket_calls : file_calls);
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return;
  if (syscall(SYS_write, fd, text, (size_t)n) != n) abort();
  syscall(SYS_close, fd);
}

static void show(void) {
  void *frames[40];
  if (getenv("FAIL_SHOW") == NULL) return;
  backtrace_symbols_fd(frames, backtrace(frames, 40), 2);
}
static int memory_fails(void) {
  if (!fail_memory || atomic_fetch_add(&memory_calls, 1) != fail_at) return 0;
  show();
  errno = ENOMEM;
  return 1;
}
static int file_fails(void) {
  if (!fail_file || atomic_fetch_add(&file_calls, 1) != fail_at) return 0;
  show();
  errno = fail_errno;
  return 1;
}

static int socket_fails(void) {
  if (!fail_socket || atomic_fetch_add(&socket_calls, 1) != fail_at) return 0;
  show();
  errno = fail_errno;
  return 1;
}

static void tell(const char *what, int fd, const char *name) {
  if (trace < 0) return;
  char link[64], place[1024] = "", text[2400];
  if (fd >= 0) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, place, sizeof place - 1);
    place[n > 0 ? n : 0] = '\0';
  }
  const int n = snprintf(text, sizeof text, "%s %s%s%s\n", what, place, name ? "/" : "", name ? name : "");
  if (syscall(SYS_write, trace, text, (size_t)n) != n) abort();
}

void *malloc(size_t n) { return memory_fails() ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t each) { return memory_fails() ? NULL : __libc_calloc(n, each); }
void *realloc(void *p, size_t n) { return memory_fails() ? NULL : __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return memory_fails() ? NULL : __libc_memalign(a, n); }
int posix_memalign(void **out, size_t a, size_t n) {
  if (memory_fails()) return ENOMEM;
  *out = __libc_memalign(a, n);
  return *out == NULL ? ENOMEM : 0;
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
  return file_fails() ? -1 : REAL(pread64)(fd, to, n, at);
}
ssize_t pread(int fd, void *to, size_t n, off_t at) { return pread64(fd, to, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
  if (file_fails()) return -1;
  tell("write", fd, NULL);
  return REAL(pwrite64)(fd, from, n, at);
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return pwrite64(fd, from, n, at); }
int fsync(int fd) {
  if (file_fails()) return -1;
  tell("sync", fd, NULL);
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  if (file_fails()) return -1;
  tell("sync", fd, NULL);
  return REAL(fdatasync)(fd);
}
int syncfs(int fd) {
  if (file_fails()) return -1;
  tell("syncfs", fd, NULL);
  return REAL(syncfs)(fd);
}
int renameat2(int from, const char *a, int to, const char *b, unsigned flags) {
  if (file_fails()) return -1;
  tell("rename", from, a);
  tell("to", to, b);
  return REAL(renameat2)(from, a, to, b, flags);
}
int linkat(int from, const char *a, int to, const char *b, int flags) {
  return file_fails() ? -1 : REAL(linkat)(from, a, to, b, flags);
}
int unlinkat(int at, const char *name, int flags) {
  if (file_fails()) return -1;
  tell("remove", at, name);
  return REAL(unlinkat)(at, name, flags);
}
int mkdirat(int at, const char *name, mode_t mode) {
  return file_fails() ? -1 : REAL(mkdirat)(at, name, mode);
}
int ftruncate64(int fd, off64_t n) { return file_fails() ? -1 : REAL(ftruncate64)(fd, n); }
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int fstatat64(int at, const char *name, struct stat64 *out, int flags) {
  return file_fails() ? -1 : REAL(fstatat64)(at, name, out, flags);
}
int fstatat(int at, const char *name, struct stat *out, int flags) {
  return file_fails() ? -1 : REAL(fstatat)(at, name, out, flags);
}
int utimensat(int at, const char *name, const struct timespec t[2], int flags) {
  return file_fails() ? -1 : REAL(utimensat)(at, name, t, flags);
}
int socket(int domain, int type, int protocol) {
  return socket_fails() ? -1 : REAL(socket)(domain, type, protocol);
}
int bind(int fd, const struct sockaddr *at, socklen_t n) {
  return socket_fails() ? -1 : REAL(bind)(fd, at, n);
}
int listen(int fd, int most) { return socket_fails() ? -1 : REAL(listen)(fd, most); }
int connect(int fd, const struct sockaddr *to, socklen_t n) {
  return socket_fails() ? -1 : REAL(connect)(fd, to, n);
}
int accept(int fd, struct sockaddr *from, socklen_t *n) {
  return socket_fails() ? -1 : REAL(accept)(fd, from, n);
}
int accept4(int fd, struct sockaddr *from, socklen_t *n, int flags) {
  return socket_fails() ? -1 : REAL(accept4)(fd, from, n, flags);
}
int setsockopt(int fd, int level, int name, const void *value, socklen_t n) {
  return socket_fails() ? -1 : REAL(setsockopt)(fd, level, name, value, n);
}
int getsockopt(int fd, int level, int name, void *value, socklen_t *n) {
  return socket_fails() ? -1 : REAL(getsockopt)(fd, level, name, value, n);
}
int getsockname(int fd, struct sockaddr *at, socklen_t *n) {
  return socket_fails() ? -1 : REAL(getsockname)(fd, at, n);
}
int getpeername(int fd, struct sockaddr *at, socklen_t *n) {
  return socket_fails() ? -1 : REAL(getpeername)(fd, at, n);
}
int shutdown(int fd, int how) { return socket_fails() ? -1 : REAL(shutdown)(fd, how); }
ssize_t send(int fd, const void *from, size_t n, int flags) {
  return socket_fails() ? -1 : REAL(send)(fd, from, n, flags);
}
ssize_t recv(int fd, void *to, size_t n, int flags) {
  return socket_fails() ? -1 : REAL(recv)(fd, to, n, flags);
}
ssize_t sendmsg(int fd, const struct msghdr *from, int flags) {
  return socket_fails() ? -1 : REAL(sendmsg)(fd, from, flags);
}
ssize_t recvmsg(int fd, struct msghdr *to, int flags) {
  return socket_fails() ? -1 : REAL(recvmsg)(fd, to, flags);
}
int sendmmsg(int fd, struct mmsghdr *from, unsigned n, int flags) {
  return socket_fails() ? -1 : REAL(sendmmsg)(fd, from, n, flags);
}
int recvmmsg(int fd, struct mmsghdr *to, unsigned n, int flags, struct timespec *limit) {
  return socket_fails() ? -1 : REAL(recvmmsg)(fd, to, n, flags, limit);
}
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out) {
  return socket_fails() ? EAI_AGAIN : REAL(getaddrinfo)(host, port, hints, out);
}
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_openat2 && file_fails()) return -1;
  static long (*real)(long, ...);
  if (real == NULL) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
