/*
 * LD_PRELOAD for relay-queue: makes the disk fail, or records what it is told.
 * Only files in queue/log/ and queue/big/, and their directories, are meant.
 *
 * QUEUE_SHIM_FAIL=FILE: while FILE holds "CALL COUNT [BYTES]", the next COUNT
 * calls of CALL (pwrite, fdatasync, fsync) fail: pwrite with ENOSPC after
 * BYTES bytes were written, the syncs with EIO. What is left is written back.
 * Spares do not count: they are filled in the background, whenever there is time.
 * "die 1 BYTES": the next pwrite writes BYTES, then the process is killed.
 *
 * QUEUE_SHIM_TRACE=FILE: appends, for each call that succeeded, a line of
 * NAME PATH [PATH or numbers], for pwrite followed by the bytes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int trace_fd(void)
{
  static int fd = -2;
  const char *path = getenv("QUEUE_SHIM_TRACE");

  if (fd == -2)
    fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
  return fd;
}

/* The path behind queue/, or NULL if it is none of ours. */
static const char *path_of(int fd, char *buffer, size_t size)
{
  char link[64];
  ssize_t n;
  char *found;

  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink(link, buffer, size - 1);
  if (n <= 0)
    return NULL;
  buffer[n] = '\0';
  found = strstr(buffer, "/queue/");
  if (!found || (strncmp(found + 7, "log", 3) != 0 && strncmp(found + 7, "big", 3) != 0))
    return NULL;
  return found + 7;
}

static void trace(const void *data, size_t len, const char *format, ...)
{
  char line[8192];
  struct iovec iov[2] = {{.iov_base = line}, {.iov_base = (void *)data, .iov_len = len}};
  va_list ap;

  va_start(ap, format);
  iov[0].iov_len = (size_t)vsnprintf(line, sizeof line, format, ap);
  va_end(ap);
  if (trace_fd() != -1 && writev(trace_fd(), iov, len ? 2 : 1) == -1)
    abort();
}

/* Is it this call's turn to fail? *bytes: how many are written all the same. */
static int fails(const char *at, const char *call, long *bytes)
{
  const char *path = getenv("QUEUE_SHIM_FAIL");
  char name[32];
  long count;
  FILE *f;

  *bytes = 0;
  if (!at || strncmp(at, "log/spare.", 10) == 0 || !path || !(f = fopen(path, "r+")))
    return 0;
  if (fscanf(f, "%31s %ld %ld", name, &count, bytes) < 2 || strcmp(name, call) != 0 || count <= 0) {
    fclose(f);
    return 0;
  }
  rewind(f);
  /* After a write that came short, the rest of it fails. */
  fprintf(f, "%s %ld 0          \n", name,
          *bytes > 0 && strcmp(call, "pwrite") == 0 ? count : count - 1);
  fclose(f);
  return 1;
}

#define REAL(type, name, ...)                                                                      \
  static type (*real)(__VA_ARGS__);                                                                \
  if (!real)                                                                                       \
  *(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  long bytes;
  ssize_t n;
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);

  if (fails(path, "die", &bytes)) {
    n = real(fd, data, (size_t)bytes < len ? (size_t)bytes : len, offset);
    kill(getpid(), SIGKILL);
  }
  if (fails(path, "pwrite", &bytes)) {
    n = bytes > 0 ? real(fd, data, (size_t)bytes < len ? (size_t)bytes : len, offset) : 0;
    if (n > 0) {
      trace(data, (size_t)n, "pwrite %s %lld %zd\n", path, (long long)offset, n);
      return n;
    }
    errno = ENOSPC;
    return -1;
  }
  n = real(fd, data, len, offset);
  if (path && n > 0)
    trace(data, (size_t)n, "pwrite %s %lld %zd\n", path, (long long)offset, n);
  return n;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
  return pwrite(fd, data, len, offset);
}

static int sync_with(int (*real)(int), const char *name, int fd)
{
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  long bytes;
  int result;

  if (fails(path, name, &bytes)) {
    errno = EIO;
    return -1;
  }
  result = real(fd);
  if (path && result == 0)
    trace(NULL, 0, "%s %s\n", name, path);
  return result;
}

int fdatasync(int fd)
{
  REAL(int, "fdatasync", int);
  return sync_with(real, "fdatasync", fd);
}

int fsync(int fd)
{
  REAL(int, "fsync", int);
  return sync_with(real, "fsync", fd);
}

int ftruncate(int fd, off_t size)
{
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  int result;
  REAL(int, "ftruncate", int, off_t);

  result = real(fd, size);
  if (path && result == 0)
    trace(NULL, 0, "truncate %s %lld\n", path, (long long)size);
  return result;
}

int fallocate(int fd, int mode, off_t from, off_t size)
{
  char buffer[4096];
  const char *path = path_of(fd, buffer, sizeof buffer);
  int result;
  REAL(int, "fallocate", int, int, off_t, off_t);

  result = real(fd, mode, from, size);
  if (path && result == 0)
    trace(NULL, 0, "allocate %s %lld\n", path, (long long)(from + size));
  return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
  char buffer[4096];
  const char *path = path_of(from_dir, buffer, sizeof buffer);
  int result;
  REAL(int, "renameat", int, const char *, int, const char *);

  result = real(from_dir, from, to_dir, to);
  if (path && result == 0)
    trace(NULL, 0, "rename %s/%s %s/%s\n", path, from, path, to);
  return result;
}

int unlinkat(int dir, const char *name, int flags)
{
  char buffer[4096];
  const char *path = path_of(dir, buffer, sizeof buffer);
  int result;
  REAL(int, "unlinkat", int, const char *, int);

  result = real(dir, name, flags);
  if (path && result == 0)
    trace(NULL, 0, "unlink %s/%s\n", path, name);
  return result;
}

int openat(int dir, const char *name, int flags, ...)
{
  char buffer[4096];
  const char *path = path_of(dir, buffer, sizeof buffer);
  mode_t mode = 0;
  va_list ap;
  int fd;
  REAL(int, "openat", int, const char *, int, ...);

  if (flags & O_CREAT) {
    va_start(ap, flags);
    mode = va_arg(ap, mode_t);
    va_end(ap);
  }
  fd = real(dir, name, flags, mode);
  if (path && fd != -1 && (flags & O_CREAT))
    trace(NULL, 0, "create %s/%s\n", path, name);
  return fd;
}
