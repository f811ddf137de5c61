#include "queue_spare.h"

#include "io.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTHING UINT64_MAX

static void name_of(char *out, size_t size, uint32_t n)
{
  snprintf(out, size, "spare.%u", n);
}

void spare_note(struct store *s, const char *name)
{
  uint64_t n;

  if (strncmp(name, "spare.", 6) != 0 || scan_u64(name + 6, strlen(name + 6), UINT32_MAX - 1, &n)) {
    return;
  }
  if (s->spare_next <= n) {
    s->spare_next = (uint32_t)n + 1;
  }
  if (s->spare_count < STORE_SPARES_MAX) {
    s->spares[s->spare_count++] = (uint32_t)n;
  } else if (!s->read_only) {
    unlinkat(s->log, name, 0);
  }
}

/* An operator who needs room may have removed some: what is gone must not be waited for. */
static void forget_gone(struct store *s)
{
  char name[STORE_NAME_SIZE];

  for (; s->spare_count > 0; s->spare_count--) {
    name_of(name, sizeof(name), s->spares[s->spare_count - 1]);
    if (faccessat(s->log, name, F_OK, 0) == 0 || errno != ENOENT) {
      return;
    }
  }
}

int spare_prepare(struct store *s)
{
  char name[STORE_NAME_SIZE];
  int fd;

  forget_gone(s);
  if (s->spare_count > 0) {
    return 0;
  }
  name_of(name, sizeof(name), s->spare_next);
  fd = openat(s->log, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd == -1) {
    return -1;
  }
  if ((fallocate(fd, 0, 0, (off_t)s->segment_bytes) == -1 && errno != EOPNOTSUPP) ||
      fsync(fd) == -1) {
    close(fd);
    unlinkat(s->log, name, 0);
    return -1;
  }
  close(fd);
  if (s->count + 1 <= SPARE_FILL_FILES) {
    s->filling = s->spare_next;
    s->filled = 0;
  }
  s->spares[s->spare_count++] = s->spare_next++;
  return 0;
}

/* Out of the page cache again, which has better to keep than zeros. */
static int put_zeros(int fd, uint64_t at, size_t len)
{
  static const char zeros[SPARE_FILL_STEP];

  if (io_pwrite_all(fd, zeros, len, (off_t)at) == -1 || fdatasync(fd) == -1) {
    return -1;
  }
  posix_fadvise(fd, (off_t)at, (off_t)len, POSIX_FADV_DONTNEED);
  return 0;
}

bool spare_fill(struct store *s)
{
  char name[STORE_NAME_SIZE];
  uint64_t len;
  int fd;

  if (s->filled == NOTHING) {
    return false;
  }
  name_of(name, sizeof(name), s->filling);
  fd = openat(s->log, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  len =
    s->segment_bytes - s->filled < SPARE_FILL_STEP ? s->segment_bytes - s->filled : SPARE_FILL_STEP;
  /* It is as good a spare as before if this fails; the append that needs it will see. */
  s->filled = fd != -1 && put_zeros(fd, s->filled, (size_t)len) == 0 ? s->filled + len : NOTHING;
  if (fd != -1) {
    close(fd);
  }
  if (s->filled == s->segment_bytes) {
    s->filled = NOTHING;
  }
  return s->filled != NOTHING;
}

int spare_from(struct store *s, const char *name)
{
  char spare[STORE_NAME_SIZE];

  name_of(spare, sizeof(spare), s->spare_next);
  if (renameat(s->log, name, s->log, spare) == -1) {
    return -1;
  }
  s->spares[s->spare_count++] = s->spare_next++;
  return 0;
}

int spare_take(struct store *s, const char *name)
{
  char spare[STORE_NAME_SIZE];
  uint32_t n;

  forget_gone(s);
  if (s->spare_count == 0) {
    return 0;
  }
  n = s->spares[s->spare_count - 1];
  name_of(spare, sizeof(spare), n);
  if (renameat(s->log, spare, s->log, name) == -1) {
    return -1;
  }
  s->spare_count--;
  if (n == s->filling) {
    s->filled = NOTHING; /* as far as it came */
  }
  return 0;
}
