/*
 * Compaction. A copy is a MESSAGE record with all that is known of its
 * recipients, made by the disk thread from what the loop knew at that moment.
 * It is used only if nothing about its message has changed meanwhile and
 * nothing about it is on the way to the disk; otherwise it is made again.
 * What comes after goes into the log behind it. So a later MESSAGE record can
 * replace all earlier state.
 */
#include "queue_compact.h"

#include "clock.h"
#include "queue_dispatch.h"
#include "queue_handout.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MESSAGES 64
#define STEP_BYTES (1 << 20)
#define SLACK_SEGMENTS 4
#define AGAIN_MS 50        /* what was in use is looked at again */
#define TROUBLE_MS 60000   /* the same after an error */

struct copy {
  struct copy *next;
  struct index_message *message; /* pinned while the disk thread is at it */
  uint32_t segment, position;
  uint16_t changes, rcpt_count;
  int error;
  struct buf record;
  struct index_rcpt rcpts[];
};

static int put_entry(struct store *s, struct buf *b, const struct index_rcpt *r, uint32_t i)
{
  static struct entry e; /* the disk thread's; large */

  e.has_outcome = false;
  e.when = 0;
  if (r->state != RCPT_ENDED && r->segment != 0) {
    if (handout_outcome(s, r, i, &e) == -1) {
      return -1;
    }
  } else if (r->state == RCPT_PENDING && r->attempts == 0 && !r->delay_told) {
    return 0; /* as it was born */
  }
  e.rcpt = i;
  e.state = (enum rcpt_state)r->state;
  e.delay_told = r->delay_told;
  e.next = (int64_t)r->next * 1000;
  e.attempts = r->attempts;
  return entry_put(b, &e);
}

/* The record anew, in c->record; content behind head is at data. 0 or -1. */
static int build(struct store *s, struct copy *c, const struct record *old, const char *old_head,
                 const char *content)
{
  struct buf states = BUF_INIT(RECORD_HEAD_MAX / 2), extra = BUF_INIT(256);
  struct record r = *old;
  char header[RECORD_HEADER];
  uint32_t i;
  int result = -1;

  for (i = 0; i < c->rcpt_count; i++) {
    if (put_entry(s, &states, &c->rcpts[i], i) == -1) {
      goto cleanup;
    }
  }
  /* The name of a big file stays; the origin of a DSN is of yesterday. */
  if (c->message->big && extra_put(&extra, c->message->big, NULL) == -1) {
    goto cleanup;
  }
  r.states_len = (uint32_t)states.len;
  r.extra_len = (uint32_t)extra.len;
  record_put(header, &r);
  if (buf_append(&c->record, header, sizeof(header)) == 0 &&
      buf_append(&c->record, old_head, r.envelope_len) == 0 &&
      buf_append(&c->record, states.data, states.len) == 0 &&
      buf_append(&c->record, extra.data, extra.len) == 0 &&
      buf_append(&c->record, content, record_body_len(&r)) == 0) {
    result = 0;
  }

cleanup:
  buf_free(&states);
  buf_free(&extra);
  return result;
}

static int make_copy(struct store *s, struct copy *c)
{
  uint64_t offset = (uint64_t)c->position * RECORD_ALIGN;
  struct buf b = BUF_INIT(SIZE_MAX / 2);
  struct record r;
  int result = -1;
  size_t head;

  if (handout_head(s, c->segment, offset, &r, &b) == -1) {
    goto cleanup;
  }
  head = b.len;
  if (record_body_len(&r) > 0) {
    if (buf_reserve(&b, r.content_len) == -1 ||
        store_read(s, c->segment, b.data + head, r.content_len, offset + head) == -1) {
      goto cleanup;
    }
    errno = EILSEQ;
    if (record_content_sum(b.data + head, r.content_len) != r.content_sum) {
      goto cleanup;
    }
  }
  result = build(s, c, &r, b.data + RECORD_HEADER, b.data + head);

cleanup:
  buf_free(&b);
  return result;
}

static void run_copies(struct disk_job *job)
{
  struct compaction *x = CONTAINER(job, struct compaction, job);
  struct copy *c;

  for (c = x->copies; c; c = c->next) {
    c->error = make_copy(&x->queue->store, c) == 0 ? 0 : errno;
    if (c->error == EILSEQ) {
      uint64_t offset = (uint64_t)c->position * RECORD_ALIGN;
      store_quarantine(&x->queue->store, c->segment, offset, offset + c->message->size);
    }
  }
}

static void copy_free(struct copy *c)
{
  buf_free(&c->record);
  free(c);
}

static void copy_settled(struct queue *q, void *owner, uint32_t argument,
                         const struct settlement *s)
{
  struct copy *c = owner;
  struct index_message *m = c->message;
  uint32_t i;

  (void)argument;
  q->compaction.waiting--;
  m->unsettled--;
  if (s->durable) {
    index_place(&q->index, m, s->segment, s->offset, s->size);
    m->extra_len = 0;
    for (i = 0; i < c->rcpt_count; i++) {
      /* A result that came after the copy settles after it, and sets its own place again. */
      if (c->rcpts[i].segment != 0) {
        index_set_location(m, i, s->segment, s->offset);
      }
    }
  }
  dispatch_end_message(q, m);
  copy_free(c);
}

/* What cannot be copied because it is damaged is in queue/quarantine/ now, and not a message any
 * more; were it kept here, no segment would ever go again. */
static void give_up(struct queue *q, struct copy *c)
{
  report_warning("message %.*s is damaged (segment %u) and given up; see queue/quarantine",
                 ID_LENGTH, c->message->id, c->segment);
  index_remove(&q->index, c->message);
}

static void use_copy(struct queue *q, struct copy *c)
{
  struct commit_item item = {.settled = copy_settled, .owner = c};
  struct index_message *m = c->message;
  struct buf *b = commit_buffer(q);
  size_t start = b->len;
  bool good;

  m->pins--;
  good = m->live > 0 && m->changes == c->changes && m->unsettled == 0 && m->pins == 0;
  if (c->error == EILSEQ && good) {
    give_up(q, c);
  } else if (c->error != 0) {
    errno = c->error;
    report_warning_errno("unable to copy message %.*s", ID_LENGTH, m->id);
    q->compaction.next = clock_monotonic_ms() + TROUBLE_MS;
    dispatch_end_message(q, m);
  } else if (!good || q->ending || q->commit.stuck) {
    dispatch_end_message(q, m);
  } else if (buf_append(b, c->record.data, c->record.len) == 0 &&
             commit_add(q, start, &item, false) == 0) {
    m->unsettled++;
    q->compaction.waiting++;
    buf_free(&c->record);
    return;
  }
  copy_free(c);
}

static void done_copies(struct disk_job *job)
{
  struct compaction *x = CONTAINER(job, struct compaction, job);
  struct queue *q = x->queue;
  struct copy *c, *next;

  x->busy = false;
  for (c = x->copies; c; c = next) {
    next = c->next;
    use_copy(q, c);
  }
  x->copies = NULL;
}

static struct copy *copy_new(struct index_message *m)
{
  struct copy *c = calloc(1, sizeof(*c) + m->rcpt_count * sizeof(c->rcpts[0]));

  if (!c) {
    return NULL;
  }
  c->message = m;
  c->segment = m->segment;
  c->position = m->position;
  c->changes = m->changes;
  c->rcpt_count = m->rcpt_count;
  memcpy(c->rcpts, m->rcpts, m->rcpt_count * sizeof(c->rcpts[0]));
  buf_init(&c->record, SIZE_MAX / 2);
  return c;
}

/* Some of the oldest segment's messages, but for those that something else is at. */
static void start_copies(struct queue *q, struct index_segment *s, int64_t now)
{
  struct compaction *x = &q->compaction;
  struct index_message *m;
  struct copy *c;
  uint64_t bytes = 0;
  unsigned n = 0;

  for (m = s->first; m && n < STEP_MESSAGES && bytes < STEP_BYTES; m = m->next) {
    if (m->unsettled == 0 && m->pins == 0 && (c = copy_new(m))) {
      c->next = x->copies;
      x->copies = c;
      m->pins++;
      bytes += m->size;
      n++;
    }
  }
  if (n == 0) {
    x->next = now + AGAIN_MS;
    return;
  }
  x->busy = true;
  x->job.run = run_copies;
  x->job.done = done_copies;
  disk_put(&q->disk, &x->job, DISK_BACKGROUND);
}

static void run_drop(struct disk_job *job)
{
  struct compaction *x = CONTAINER(job, struct compaction, job);

  x->result = store_drop_first(&x->queue->store);
}

static void done_drop(struct disk_job *job)
{
  struct compaction *x = CONTAINER(job, struct compaction, job);

  x->busy = false;
  if (x->result == -1) {
    report_warning("unable to remove the oldest segment");
    x->next = clock_monotonic_ms() + TROUBLE_MS;
    return;
  }
  index_segment_drop_first(&x->queue->index);
}

static void move_notes(struct queue *q, uint32_t segment)
{
  struct index_note *n;
  size_t cursor = 0;

  while ((n = hash_next(&q->index.notes, &cursor))) {
    if (n->segment == segment && n->unsettled == 0) {
      dispatch_write_note(q, n);
    }
  }
}

/* Is the oldest segment's live part worth copying? */
static bool too_long(const struct queue *q)
{
  uint64_t slack = SLACK_SEGMENTS * q->config.segment_bytes;

  /* Short of space: what is dead is wanted back sooner. */
  if (q->floor.below) {
    return q->index.used_bytes > q->index.live_bytes + q->index.live_bytes / 4 +
                                   q->config.segment_bytes;
  }
  return q->index.used_bytes > 2 * q->index.live_bytes + slack;
}

void compact_run(struct queue *q, int64_t now)
{
  struct compaction *x = &q->compaction;
  struct index_segment *s = q->index.segments;

  x->queue = q;
  if (x->busy || x->waiting > 0 || q->ending || !q->told || now < x->next ||
      q->index.segment_count < 2) {
    return;
  }
  if (s->first == NULL && s->notes == 0) {
    x->busy = true;
    x->job.run = run_drop;
    x->job.done = done_drop;
    disk_put(&q->disk, &x->job, DISK_BACKGROUND);
  } else if (!q->commit.stuck && too_long(q)) {
    if (s->notes > 0) {
      move_notes(q, s->number);
      x->next = now + AGAIN_MS;
    }
    if (s->first) {
      start_copies(q, s, now);
    }
  }
}
