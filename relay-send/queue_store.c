#include "queue_store.h"

#include "io.h"
#include "netstring.h"
#include "queue_spare.h"
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUARANTINE_CHUNK 65536

void store_name(char *out, size_t size, uint32_t number, uint64_t key)
{
  snprintf(out, size, "%010u-%016llx", number, (unsigned long long)key);
}

static int parse_name(const char *name, uint32_t *number, uint64_t *key)
{
  char again[STORE_NAME_SIZE];
  uint64_t n;
  char *end;

  if (strlen(name) != 27 || name[10] != '-' || scan_u64(name, 10, UINT32_MAX, &n) == -1 || n == 0) {
    return -1;
  }
  *number = (uint32_t)n;
  *key = strtoull(name + 11, &end, 16);
  store_name(again, sizeof(again), *number, *key);
  return strcmp(again, name) == 0 ? 0 : -1;
}

struct store_segment *store_add(struct store *s, uint32_t number, uint64_t key, int fd)
{
  struct store_segment *more;
  uint32_t cap;

  if (s->count == s->cap) {
    cap = s->cap ? s->cap * 2 : 16;
    more = realloc(s->segments, cap * sizeof(*more));
    if (!more) {
      errno = ENOMEM;
      return NULL;
    }
    s->segments = more;
    s->cap = cap;
  }
  s->segments[s->count] =
    (struct store_segment){.number = number, .key = key, .fd = fd, .end = UINT64_MAX};
  return &s->segments[s->count++];
}

static int compare(const void *a, const void *b)
{
  const struct store_segment *x = a, *y = b;

  return x->number < y->number ? -1 : x->number > y->number;
}

static int list_segments(struct store *s)
{
  struct dirent *d;
  uint32_t number;
  uint64_t key;
  int fd = openat(s->log, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd == -1 ? NULL : fdopendir(fd);

  if (!dir) {
    if (fd != -1) {
      close(fd);
    }
    return -1;
  }
  while ((d = readdir(dir))) {
    if (parse_name(d->d_name, &number, &key) == 0) {
      if (!store_add(s, number, key, -1)) {
        closedir(dir);
        return -1;
      }
    } else {
      spare_note(s, d->d_name);
    }
  }
  closedir(dir);
  if (s->count > 0) {
    qsort(s->segments, s->count, sizeof(*s->segments), compare);
  }
  return 0;
}

static int open_directory(struct store *s, int at, const char *name)
{
  if (!s->read_only && mkdirat(at, name, 0700) == 0) {
    fsync(at);
  }
  return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int store_open(struct store *s, const char *queue_dir, uint64_t segment_bytes, bool read_only,
               const char **what)
{
  int quarantine;

  *s = (struct store){.queue = -1,
                      .log = -1,
                      .big = -1,
                      .segment_bytes = segment_bytes,
                      .filled = UINT64_MAX,
                      .read_only = read_only};
  *what = queue_dir;
  s->queue = open(queue_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (s->queue == -1) {
    return -1;
  }
  *what = "queue/log";
  s->log = open_directory(s, s->queue, "log");
  if (s->log == -1 || list_segments(s) == -1) {
    return -1;
  }
  *what = "queue/big";
  s->big = open_directory(s, s->queue, "big");
  if (s->big == -1) {
    return -1;
  }
  *what = "queue/quarantine";
  quarantine = open_directory(s, s->queue, "quarantine");
  if (quarantine == -1) {
    return -1;
  }
  close(quarantine);
  return 0;
}

static void close_segment(struct store *s, struct store_segment *segment)
{
  if (segment->fd != -1) {
    close(segment->fd);
    segment->fd = -1;
    s->open_count--;
  }
}

void store_close(struct store *s)
{
  uint32_t i;

  for (i = 0; i < s->count; i++) {
    close_segment(s, &s->segments[i]);
  }
  free(s->segments);
  close(s->big);
  close(s->log);
  close(s->queue);
  *s = (struct store){.queue = -1, .log = -1, .big = -1};
}

struct store_segment *store_find(struct store *s, uint32_t number)
{
  struct store_segment key = {.number = number};

  return s->count ? bsearch(&key, s->segments, s->count, sizeof(key), compare) : NULL;
}

/* The least lately read one gives way, never the one that is appended to. */
static void make_room(struct store *s)
{
  struct store_segment *oldest = NULL;
  uint32_t i;

  for (i = 0; i + 1 < s->count; i++) {
    if (s->segments[i].fd != -1 && (!oldest || s->segments[i].used < oldest->used)) {
      oldest = &s->segments[i];
    }
  }
  if (oldest) {
    close_segment(s, oldest);
  }
}

int store_fd(struct store *s, struct store_segment *segment)
{
  char name[STORE_NAME_SIZE];

  segment->used = ++s->clock;
  if (segment->fd == -1) {
    if (s->open_count >= STORE_OPEN_MAX) {
      make_room(s);
    }
    store_name(name, sizeof(name), segment->number, segment->key);
    segment->fd = openat(s->log, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    s->open_count += segment->fd != -1;
  }
  return segment->fd;
}

int store_read(struct store *s, uint32_t number, void *data, size_t len, uint64_t offset)
{
  struct store_segment *segment = store_find(s, number);
  int fd;

  if (!segment) {
    errno = ENOENT;
    return -1;
  }
  fd = store_fd(s, segment);
  return fd == -1 ? -1 : io_pread_all(fd, data, len, (off_t)offset);
}

bool store_content_is_whole(struct store *s, uint32_t number, const struct record *r,
                            uint64_t offset)
{
  struct buf b = BUF_INIT(SIZE_MAX / 2);
  size_t len = (size_t)record_body_len(r);
  bool whole;

  if (len == 0) {
    return true;
  }
  whole = buf_reserve(&b, len) == 0 &&
          store_read(s, number, b.data, len, offset + RECORD_HEADER + record_head_len(r)) == 0 &&
          record_content_sum(b.data, len) == r->content_sum;
  buf_free(&b);
  return whole;
}

static int retire(struct store *s, struct store_segment *segment)
{
  char name[STORE_NAME_SIZE];

  store_name(name, sizeof(name), segment->number, segment->key);
  close_segment(s, segment);
  if (!segment->unfit && s->spare_count < STORE_SPARES_MAX) {
    if (spare_from(s, name) == -1) {
      return -1;
    }
  } else if (unlinkat(s->log, name, 0) == -1) {
    return -1;
  }
  return fsync(s->log);
}

int store_drop_first(struct store *s)
{
  if (retire(s, &s->segments[0]) == -1) {
    return -1;
  }
  s->count--;
  memmove(s->segments, s->segments + 1, s->count * sizeof(*s->segments));
  return 0;
}

int store_drop_last(struct store *s)
{
  if (retire(s, &s->segments[s->count - 1]) == -1) {
    return -1;
  }
  s->count--;
  return 0;
}

static int copy_range(int from_fd, int to_fd, uint64_t from, uint64_t to)
{
  char chunk[QUARANTINE_CHUNK];
  off_t at = 0;
  ssize_t n;

  while (from < to) {
    n = pread(from_fd, chunk, to - from < sizeof(chunk) ? to - from : sizeof(chunk), (off_t)from);
    if (n <= 0) {
      break; /* unreadable sectors: what could be read is kept */
    }
    if (io_pwrite_all(to_fd, chunk, (size_t)n, at) == -1) {
      return -1;
    }
    at += n;
    from += (uint64_t)n;
  }
  return fsync(to_fd);
}

int store_quarantine(struct store *s, uint32_t number, uint64_t from, uint64_t to)
{
  struct store_segment *segment = store_find(s, number);
  char name[80];
  int fd, out, dir, result = -1;
  struct stat st;

  if (s->read_only || !segment) {
    return 1;
  }
  snprintf(name, sizeof(name), "quarantine/%010u-%llu-%llu", number, (unsigned long long)from,
           (unsigned long long)to);
  if (fstatat(s->queue, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    return 1;
  }
  fd = store_fd(s, segment);
  out = fd == -1 ? -1 : openat(s->queue, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out == -1) {
    return -1;
  }
  dir = openat(s->queue, "quarantine", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir != -1 && copy_range(fd, out, from, to) == 0 && fsync(dir) == 0) {
    result = 0;
  } else {
    unlinkat(s->queue, name, 0); /* half a copy would be taken for a whole one at the next start */
  }
  if (dir != -1) {
    close(dir);
  }
  close(out);
  return result;
}

int store_segment_put(struct buf *b, uint32_t previous, uint64_t previous_end, uint64_t next_serial)
{
  return netstring_put_u64(b, previous) == -1 || netstring_put_u64(b, previous_end) == -1
           ? -1
           : netstring_put_u64(b, next_serial);
}

int store_segment_get(const char *data, size_t len, uint64_t *previous, uint64_t *previous_end,
                      uint64_t *next_serial)
{
  struct netstring_reader r;

  netstring_open(&r, data, len);
  netstring_get_u64(&r, UINT32_MAX, previous);
  netstring_get_u64(&r, INT64_MAX, previous_end);
  netstring_get_u64(&r, UINT64_MAX, next_serial);
  return netstring_end(&r);
}
