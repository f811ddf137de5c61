#include "queue_tell.h"

#include "queue_dispatch.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TELL_MESSAGES 500     /* a job of the disk thread */
#define TELL_BYTES (4 << 20)  /* and what it makes, about */
#define TELL_PACK 16384       /* bytes of M's to a datagram: most of what one costs is the datagram */

static struct {
  struct disk_job job;
  struct queue *queue;
  uint64_t *serials;
  size_t count, cap, next; /* next: the first that the next job takes */
  /* The job: */
  const struct index_message *messages[TELL_MESSAGES];
  size_t taken;
  struct buf datagrams; /* u32 length, bytes, ... */
  struct buf spare;     /* the job's before, being sent */
  size_t last;          /* where in datagrams the last one's length is */
  int error;
  bool busy;
} tell;

/* Behind the M's of the last datagram if it fits there, else in one of its own. */
static int put(void *arg, struct buf *b, bool last)
{
  uint32_t len = 0;

  (void)arg;
  (void)last;
  if (tell.datagrams.len > 0) {
    memcpy(&len, tell.datagrams.data + tell.last, sizeof(len));
  }
  if (len == 0 || len + b->len > TELL_PACK) {
    tell.last = tell.datagrams.len;
    len = 0;
    if (buf_append(&tell.datagrams, &len, sizeof(len)) == -1) {
      return -1;
    }
  }
  len += (uint32_t)b->len;
  memcpy(tell.datagrams.data + tell.last, &len, sizeof(len));
  return buf_append(&tell.datagrams, b->data, b->len);
}

static void tell_message(const struct index_message *m, struct envelope *e, struct buf *b)
{
  struct store *s = &tell.queue->store;

  buf_reset(b);
  if (buf_reserve(b, m->envelope_len) == -1 ||
      store_read(s, m->segment, b->data, m->envelope_len,
                 (uint64_t)m->position * RECORD_ALIGN + RECORD_HEADER) == -1 ||
      envelope_decode(e, b->data, m->envelope_len) == -1 || e->rcpt_count != m->rcpt_count) {
    report_warning_errno("unable to read message %.*s", ID_LENGTH, m->id);
    return;
  }
  if (dispatch_tell(m, e, put, NULL) == -1) {
    tell.error = ENOMEM;
  }
}

static void run(struct disk_job *job)
{
  struct buf b = BUF_INIT(RECORD_HEAD_MAX);
  struct envelope e;
  size_t i;

  (void)job;
  envelope_init(&e);
  for (i = 0; i < tell.taken && !tell.error; i++) {
    tell_message(tell.messages[i], &e, &b);
  }
  envelope_free(&e);
  buf_free(&b);
}

static void send_all(struct queue *q, const struct buf *datagrams)
{
  struct buf one = {0};
  size_t at = 0;
  uint32_t len;

  while (at < datagrams->len && !q->ending) {
    memcpy(&len, datagrams->data + at, sizeof(len));
    one.data = datagrams->data + at + sizeof(len);
    one.len = len;
    dispatch_send(q, &one, -1);
    at += sizeof(len) + len;
  }
}

static void done(struct disk_job *job)
{
  struct queue *q = tell.queue;
  struct buf made = tell.datagrams;

  (void)job;
  tell.busy = false;
  if (tell.error) {
    queue_die("tell relay-send of the queue: out of memory");
  }
  /* The disk thread makes the next while these are being sent. */
  tell.datagrams = tell.spare;
  tell.spare = made;
  buf_reset(&tell.datagrams);
  if (tell.next < tell.count) {
    tell_run(q);
  }
  send_all(q, &made);
}

static void tell_end(struct queue *q)
{
  struct buf b = BUF_INIT(16);

  if (netstring_put_str(&b, "E") == -1) {
    queue_die("tell relay-send of the queue: out of memory");
  }
  q->told = true;
  dispatch_send(q, &b, -1);
  channel_pause(&q->send, false);
  buf_free(&b);
  buf_free(&tell.datagrams);
  buf_free(&tell.spare);
  free(tell.serials);
  tell.serials = NULL;
}

void tell_run(struct queue *q)
{
  struct index_message *m;
  size_t rcpts = 0;

  if (q->told || tell.busy || q->ending || q->send.queued > CHANNEL_QUEUE_DATAGRAMS / 2 ||
      q->send.queued_bytes > CHANNEL_QUEUE_BYTES / 2) {
    return;
  }
  tell.taken = 0;
  while (tell.next < tell.count && tell.taken < TELL_MESSAGES && rcpts < TELL_BYTES / 400) {
    m = index_find(&q->index, tell.serials[tell.next++]);
    if (m) {
      tell.messages[tell.taken++] = m;
      rcpts += m->live;
    }
  }
  if (tell.taken == 0) {
    tell_end(q);
    return;
  }
  tell.busy = true;
  disk_put(&q->disk, &tell.job, DISK_READ);
}

void tell_add(struct queue *q, uint64_t serial)
{
  size_t cap = tell.cap ? tell.cap * 2 : 1024;
  uint64_t *more;

  (void)q;
  if (tell.count == tell.cap) {
    more = realloc(tell.serials, cap * sizeof(*more));
    if (!more) {
      queue_die("tell relay-send of the queue: out of memory");
    }
    tell.serials = more;
    tell.cap = cap;
  }
  tell.serials[tell.count++] = serial;
}

int tell_start(struct queue *q)
{
  struct index_message *m;
  struct index_note *n;
  struct buf b = BUF_INIT(2048);
  size_t cursor = 0;
  uint32_t i;

  tell.queue = q;
  tell.job.run = run;
  tell.job.done = done;
  buf_init(&tell.datagrams, (size_t)1 << 30);
  buf_init(&tell.spare, (size_t)1 << 30);
  while ((n = hash_next(&q->index.notes, &cursor))) {
    buf_reset(&b);
    if (netstring_put_str(&b, "N") == -1 || netstring_put_str(&b, n->key) == -1 ||
        netstring_put_str(&b, n->value) == -1) {
      return -1;
    }
    dispatch_send(q, &b, -1);
  }
  buf_free(&b);
  for (i = 0; i < q->index.segment_count; i++) {
    for (m = q->index.segments[i].first; m; m = m->next) {
      tell_add(q, m->serial);
    }
  }
  return 0;
}
