/*
 * Appending to the log: one write and one sync for all that a batch holds, and
 * what is done when either fails.
 */
#include "queue_store.h"

#include "io.h"
#include "queue_spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int random_key(uint64_t *key)
{
  return getrandom(key, sizeof(*key), 0) == (ssize_t)sizeof(*key) ? 0 : -1;
}

/* A spare under its new name, or a new file. Its directory entry is durable on return. */
static int make_file(struct store *s, const char *name)
{
  int fd;

  if (spare_take(s, name) == -1) {
    return -1;
  }
  fd = openat(s->log, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd == -1) {
    return -1;
  }
  /* No-op for a spare that has its blocks. EOPNOTSUPP: blocks come as they are written. */
  if (fallocate(fd, 0, 0, (off_t)s->segment_bytes) == -1 && errno != EOPNOTSUPP) {
    goto fail;
  }
  if (fsync(s->log) == -1) {
    goto fail;
  }
  return fd;

fail:
  close(fd);
  unlinkat(s->log, name, 0);
  return -1;
}

/* The SEGMENT record: says where the segment before ends, so that what a failed sync may have
 * left there stays void for good. */
static int write_segment_record(const struct store_segment *segment, uint32_t previous,
                                uint64_t previous_end, uint64_t next_serial)
{
  char page[RECORD_PAGE] = {0};
  struct buf extra = BUF_INIT(256);
  struct record r = {.type = RECORD_SEGMENT};
  int result = -1;

  if (store_segment_put(&extra, previous, previous_end, next_serial) == 0) {
    r.extra_len = (uint32_t)extra.len;
    record_put(page, &r);
    memcpy(page + RECORD_HEADER, extra.data, extra.len);
    record_seal(page, segment->number, segment->key);
    result = io_pwrite_all(segment->fd, page, sizeof(page), 0);
  }
  buf_free(&extra);
  return result;
}

/* Opens the next segment. On failure the store is as it was. */
static int next_segment(struct store *s, uint64_t next_serial)
{
  struct store_segment *last = s->count ? &s->segments[s->count - 1] : NULL, *segment;
  uint32_t previous = last ? last->number : 0;
  uint64_t previous_end = s->appending ? s->offset : last ? last->end : 0, key;
  char name[STORE_NAME_SIZE];
  int fd;

  if (random_key(&key) == -1) {
    return -1;
  }
  store_name(name, sizeof(name), previous + 1, key);
  fd = make_file(s, name);
  if (fd == -1) {
    return -1;
  }
  segment = store_add(s, previous + 1, key, fd);
  if (!segment || write_segment_record(segment, previous, previous_end, next_serial) == -1) {
    s->count -= segment != NULL;
    close(fd);
    unlinkat(s->log, name, 0);
    return -1;
  }
  if (segment != s->segments) {
    segment[-1].end = previous_end;
  }
  s->open_count++;
  s->appending = true;
  s->offset = RECORD_PAGE;
  /* One is always kept: on a full disk it takes the results. Without room for it now, floor
   * tries again each second. */
  spare_prepare(s);
  return 0;
}

static int pad(struct buf *b)
{
  size_t n = (RECORD_PAGE - b->len % RECORD_PAGE) % RECORD_PAGE;

  if (buf_reserve(b, n) == -1) {
    return -1;
  }
  memset(b->data + b->len, 0, n);
  b->len += n;
  return 0;
}

/* Seals the records whose position is not 0, and says where they will be. */
static void seal(struct store *s, struct append *a)
{
  struct store_segment *segment = &s->segments[s->count - 1];
  struct record r;
  uint64_t at = 0;
  uint32_t i;

  for (i = 0; i < a->count; i++) {
    if (a->positions[i] != 0 && record_get(a->records->data + at, &r) == 0) {
      record_seal(a->records->data + at, segment->number, segment->key);
      a->positions[i] = s->offset + at;
      at += record_size(&r);
    }
  }
}

/* 0; -1 with the bytes cut off again; -2 when they could not be cut off. */
static int write_batch(struct store *s, const struct buf *b)
{
  int fd = s->segments[s->count - 1].fd, saved;

  if (io_pwrite_all(fd, b->data, b->len, (off_t)s->offset) == 0) {
    return 0;
  }
  saved = errno;
  /* Whole records of a write that came short would be valid at the next replay. */
  if (ftruncate(fd, (off_t)s->offset) == -1 || fdatasync(fd) == -1) {
    return -2;
  }
  fallocate(fd, 0, 0, (off_t)s->segment_bytes); /* the room back, if there is any */
  errno = saved;
  return -1;
}

static bool survives(enum record_type type)
{
  return type == RECORD_RESULT || type == RECORD_STATE || type == RECORD_NOTE;
}

/* Takes MESSAGE and BIG records out of the batch. */
static void keep_survivors(struct append *a)
{
  char *data = a->records->data;
  size_t from = 0, to = 0, size;
  struct record r;
  uint32_t i;

  for (i = 0; i < a->count; i++) {
    record_get(data + from, &r);
    size = record_size(&r);
    a->positions[i] = survives(r.type);
    if (a->positions[i]) {
      memmove(data + to, data + from, size);
      to += size;
    }
    from += size;
  }
  a->records->len = to;
}

static enum append_result finish(struct store *s, struct append *a, enum append_result result)
{
  s->offset += a->records->len;
  a->segment = s->segments[s->count - 1].number;
  a->end = s->offset;
  return result;
}

/*
 * A sync failed. The pages look clean now, so a second sync would say yes to
 * what may not be on the disk: nothing more is written to this segment, and
 * the next one's first record, synced before anybody is answered, says that
 * it ended before this batch.
 */
static enum append_result abandon(struct store *s, struct append *a, size_t records_len)
{
  a->records->len = records_len;
  s->segments[s->count - 1].unfit = true;
  keep_survivors(a);
  if (next_segment(s, a->next_serial) == -1) {
    return APPEND_FATAL;
  }
  a->opened = true;
  seal(s, a);
  if (pad(a->records) == -1 ||
      io_pwrite_all(s->segments[s->count - 1].fd, a->records->data, a->records->len,
                    (off_t)s->offset) == -1 ||
      fdatasync(s->segments[s->count - 1].fd) == -1) {
    return APPEND_FATAL;
  }
  return finish(s, a, APPEND_VOIDED);
}

enum append_result store_append(struct store *s, struct append *a)
{
  size_t len = a->records->len;
  uint32_t i;

  a->opened = false;
  for (i = 0; i < a->count; i++) {
    a->positions[i] = 1;
  }
  if (pad(a->records) == -1) {
    a->records->len = len;
    return APPEND_REFUSED;
  }
  if (!s->appending || s->offset + a->records->len > s->segment_bytes) {
    /* A batch larger than a segment makes the segment larger. */
    if (!s->appending || s->offset > RECORD_PAGE) {
      if (next_segment(s, a->next_serial) == -1) {
        a->records->len = len;
        return APPEND_REFUSED;
      }
      a->opened = true;
    }
  }
  seal(s, a);
  switch (write_batch(s, a->records)) {
  case 0:
    break;
  case -1:
    a->records->len = len;
    a->segment = s->segments[s->count - 1].number;
    a->end = s->offset;
    return APPEND_REFUSED;
  default:
    return abandon(s, a, len);
  }
  if (fdatasync(s->segments[s->count - 1].fd) == -1) {
    return abandon(s, a, len);
  }
  return finish(s, a, APPEND_OK);
}
