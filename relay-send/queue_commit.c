#include "queue_commit.h"

#include "clock.h"
#include "queue_core.h"
#include "queue_dispatch.h"
#include "queue_floor.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX (1 << 30) /* results are taken whatever the batch holds */

void commit_init(struct queue *q)
{
  struct commit *c = &q->commit;
  int i;

  *c = (struct commit){.collecting = &c->batches[0], .deadline = INT64_MAX};
  for (i = 0; i < 2; i++) {
    c->batches[i].queue = q;
    buf_init(&c->batches[i].records, BATCH_MAX);
  }
}

bool commit_has_room(const struct queue *q, size_t len)
{
  return q->commit.collecting->records.len + len <= COMMIT_BATCH_BYTES ||
         q->commit.collecting->records.len == 0;
}

struct buf *commit_buffer(struct queue *q)
{
  return &q->commit.collecting->records;
}

static int reserve_item(struct batch *b)
{
  uint32_t cap = b->cap ? b->cap * 2 : 64;
  struct commit_item *items;
  uint64_t *positions;

  if (b->count < b->cap) {
    return 0;
  }
  items = realloc(b->items, cap * sizeof(*items));
  if (!items) {
    return -1;
  }
  b->items = items;
  positions = realloc(b->positions, cap * sizeof(*positions));
  if (!positions) {
    return -1;
  }
  b->positions = positions;
  b->cap = cap;
  return 0;
}

void commit_expect(struct queue *q, const void *who)
{
  q->commit.coming = who;
  q->commit.coming_at = clock_monotonic_ms();
}

void commit_expect_no_more(struct queue *q, const void *who)
{
  if (q->commit.coming == who) {
    q->commit.coming = NULL;
  }
}

/* How long the first who waits in a batch should wait for company. */
static int64_t gather_ms(const struct commit *c, int64_t now)
{
  if (c->coming && now - c->coming_at < COMMIT_COMING_MS) {
    return COMMIT_COMING_GATHER_MS;
  }
  return c->company > 1 && c->company < COMMIT_GATHER_FEW ? COMMIT_GATHER_MS : 0;
}

int commit_add(struct queue *q, size_t start, const struct commit_item *item, bool urgent)
{
  struct commit *c = &q->commit;
  struct batch *b = c->collecting;
  size_t rest = (RECORD_ALIGN - b->records.len % RECORD_ALIGN) % RECORD_ALIGN;
  int64_t now = clock_monotonic_ms();

  if (reserve_item(b) == -1 || buf_append(&b->records, "\0\0\0\0\0\0\0", rest) == -1) {
    b->records.len = start;
    return -1;
  }
  b->items[b->count++] = *item;
  if (urgent && c->waiting++ == 0) {
    c->gather = now + gather_ms(c, now);
  }
  c->urgent |= urgent;
  if (!c->stuck) {
    c->deadline = c->deadline < now + COMMIT_RESULT_MS ? c->deadline : now + COMMIT_RESULT_MS;
  }
  return 0;
}

int commit_put(struct queue *q, const struct record *r, const struct buf *head,
               const struct commit_item *item, bool urgent)
{
  struct buf *b = commit_buffer(q);
  size_t start = b->len;
  char header[RECORD_HEADER];

  record_put(header, r);
  if (buf_append(b, header, sizeof(header)) == -1 || buf_append(b, head->data, head->len) == -1) {
    b->len = start;
    return -1;
  }
  return commit_add(q, start, item, urgent);
}

static void run(struct disk_job *job)
{
  struct batch *b = CONTAINER(job, struct batch, job);

  b->result = store_append(&b->queue->store, &b->append);
  b->error = errno;
}

/* Puts what must not be lost of a refused batch before what was collected since. */
static void keep_for_retry(struct queue *q, struct batch *b)
{
  struct batch *next = q->commit.collecting;
  struct buf kept = BUF_INIT(BATCH_MAX);
  uint32_t i, n = 0, first = next->count;
  struct record r;
  size_t at = 0;

  for (i = 0; i < b->count; i++) {
    record_get(b->records.data + at, &r);
    if (b->items[i].kept) {
      if (reserve_item(next) == -1 ||
          buf_append(&kept, b->records.data + at, record_size(&r)) == -1) {
        queue_die("keep results: out of memory");
      }
      next->items[next->count++] = b->items[i];
      n++;
    }
    at += record_size(&r);
  }
  if (n > 0 && first > 0) {
    struct commit_item *all = malloc(next->cap * sizeof(*all));
    if (!all || buf_append(&kept, next->records.data, next->records.len) == -1) {
      queue_die("keep results: out of memory");
    }
    memcpy(all, next->items + first, n * sizeof(*all));
    memcpy(all + n, next->items, first * sizeof(*all));
    free(next->items);
    next->items = all;
  }
  if (n > 0) {
    buf_free(&next->records);
    next->records = kept;
  } else {
    buf_free(&kept);
  }
}

static void settle(struct queue *q, struct batch *b)
{
  struct settlement s = {.segment = b->append.segment, .error = b->error};
  struct commit_item *item;
  struct record r;
  uint32_t i;
  size_t at = 0;

  for (i = 0; i < b->count; i++) {
    item = &b->items[i];
    s.offset = b->positions[i];
    s.durable = b->result == APPEND_OK || (b->result == APPEND_VOIDED && s.offset != 0);
    s.size = 0;
    /* Void records are no longer in the buffer after a failed sync. */
    if (b->result != APPEND_VOIDED || s.offset != 0) {
      record_get(b->records.data + at, &r);
      s.size = record_size(&r);
      at += s.size;
    }
    if (s.durable || !item->kept) {
      item->settled(q, item->owner, item->argument, &s);
    }
  }
}

static void set_stuck(struct queue *q, bool stuck)
{
  if (q->commit.stuck != stuck) {
    q->commit.stuck = stuck;
    dispatch_pause(q, stuck);
  }
}

static void done(struct disk_job *job)
{
  struct batch *b = CONTAINER(job, struct batch, job);
  struct queue *q = b->queue;
  struct commit *c = &q->commit;

  c->flying = NULL;
  if (b->result == APPEND_FATAL) {
    errno = b->error;
    queue_die("write the log, twice");
  }
  if (b->append.opened && index_segment_add(&q->index, b->append.segment) == -1) {
    queue_die("note a segment: out of memory");
  }
  if (b->append.opened) {
    floor_look(q);
  }
  if (b->result != APPEND_REFUSED || b->append.opened) {
    index_segment_used(&q->index, b->append.segment, b->append.end);
  }
  if (b->result != APPEND_OK) {
    errno = b->error;
    report_warning_errno("unable to %s the log",
                         b->result == APPEND_VOIDED ? "sync" : "write to");
  }
  if (b->result == APPEND_REFUSED) {
    keep_for_retry(q, b);
  }
  settle(q, b);
  buf_reset(&b->records);
  b->count = 0;
  set_stuck(q, b->result == APPEND_REFUSED && c->collecting->count > 0);
  if (c->collecting->count > 0) {
    c->deadline = clock_monotonic_ms() + (c->stuck ? COMMIT_RETRY_MS : COMMIT_RESULT_MS);
  }
}

int commit_run(struct queue *q, int64_t now)
{
  struct commit *c = &q->commit;
  struct batch *b = c->collecting;

  if (b->count == 0) {
    c->deadline = INT64_MAX;
    c->urgent = false;
    return -1;
  }
  if (c->flying) {
    return -1; /* its end wakes the loop */
  }
  if (now < c->deadline && (!c->urgent || c->stuck)) {
    return (int)(c->deadline - now);
  }
  if (c->waiting > 0 && now < c->gather && b->records.len < COMMIT_GATHER_BYTES) {
    return (int)(c->gather - now);
  }
  c->company = c->waiting;
  c->waiting = 0;
  c->flying = b;
  c->collecting = b == &c->batches[0] ? &c->batches[1] : &c->batches[0];
  c->urgent = false;
  c->deadline = INT64_MAX;
  b->append = (struct append){.records = &b->records,
                              .next_serial = q->index.next_serial,
                              .positions = b->positions,
                              .count = b->count};
  b->job.run = run;
  b->job.done = done;
  disk_put(&q->disk, &b->job, DISK_COMMIT);
  return -1;
}

bool commit_idle(const struct queue *q)
{
  return !q->commit.flying && q->commit.collecting->count == 0;
}
