#include "queue_notice.h"

#include "clock.h"
#include "queue_dispatch.h"
#include "queue_handout.h"
#include "queue_submission.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct origin *notice_origin(const struct notice *n)
{
  return &n->origin;
}

void notice_origin_id(const struct notice *n, char id[ID_SIZE])
{
  memcpy(id, n->message->id, ID_LENGTH);
  id[ID_LENGTH] = '\0';
}

static void notice_free(struct queue *q, struct notice *n)
{
  struct index_message *m = n->message;

  if (n->fd != -1) {
    close(n->fd);
  }
  if (m) {
    m->pins--;
    m->dsn_open = false;
    dispatch_end_message(q, m);
  }
  origin_free(&n->origin);
  free(n->rcpts);
  free(n->at);
  free(n);
}

static void answer(struct queue *q, struct notice *n, bool ok)
{
  if (!q->ending) {
    dispatch_bounced(q, n->origin.serial, ok);
  }
  notice_free(q, n);
}

void notice_settled(struct queue *q, struct notice *n, bool ok)
{
  if (ok) {
    index_apply_origin(n->message, &n->origin);
  }
  answer(q, n, ok);
}

static void state_settled(struct queue *q, void *owner, uint32_t argument,
                          const struct settlement *s)
{
  struct notice *n = owner;

  (void)argument;
  n->message->unsettled--;
  notice_settled(q, n, s->durable);
}

/* No DSN is due: the recipients' end is a record of its own. */
static void commit_state(struct queue *q, struct notice *n)
{
  struct commit_item item = {.settled = state_settled, .owner = n, .kept = true};
  struct record r = {.type = RECORD_STATE, .serial = n->origin.serial};
  struct buf b = BUF_INIT(ENVELOPE_RCPTS_MAX * 8 + 256);

  if (origin_put(&b, &n->origin) == -1) {
    queue_die("end a recipient: out of memory");
  }
  r.extra_len = (uint32_t)b.len;
  if (commit_put(q, &r, &b, &item, false) == -1) {
    queue_die("end a recipient: out of memory");
  }
  n->message->unsettled++;
  buf_free(&b);
}

static void run(struct disk_job *job)
{
  struct notice *n = CONTAINER(job, struct notice, job);
  struct store *s = &n->queue->store;
  const struct index_rcpt *at;
  static struct entry e; /* the disk thread's; large */
  uint32_t i;

  for (i = 0; i < n->origin.count; i++) {
    at = &n->at[i];
    if (at->segment == 0 || handout_outcome(s, at, n->origin.rcpts[i], &e) == -1) {
      n->error = at->segment == 0 ? ENOENT : errno;
      return;
    }
    n->rcpts[i] = (struct bounce_rcpt){
      .outcome = e.outcome, .attempts = e.attempts, .when = e.when};
  }
  n->fd = handout_copy(s, n->segment, (uint64_t)n->position * RECORD_ALIGN, n->message->big);
  n->error = n->fd == -1 ? errno : 0;
}

/* No notice can be made any more: relay-bounce is gone, or the end is near. */
static bool over(const struct queue *q)
{
  return q->ending || q->bounce.watch.fd == -1;
}

static void send_part(struct queue *q, struct buf *b, int fd)
{
  if (channel_send(&q->bounce, b->data, b->len, fd) == -1 && !q->bounce.broken && !over(q)) {
    queue_die("send to relay-bounce");
  }
}

static int put_rcpts(struct buf *b, const struct notice *n, uint32_t from)
{
  uint32_t i;

  for (i = from; i < n->origin.count && i < from + BOUNCE_RCPTS_PER_PART; i++) {
    if (bounce_put_rcpt(b, &n->rcpts[i]) == -1) {
      return -1;
    }
  }
  return 0;
}

static void send_job(struct queue *q, struct notice *n)
{
  struct bounce_job j = {.kind = n->origin.kind,
                         .serial = n->origin.serial,
                         .envelope_len = n->message->envelope_len,
                         .content_len = n->message->content_len,
                         .now = clock_wall_ms(),
                         .rcpt_count = n->origin.count};
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  uint32_t from;

  if (bounce_put_job(&b, &j) == -1 || put_rcpts(&b, n, 0) == -1) {
    queue_die("ask relay-bounce: out of memory");
  }
  send_part(q, &b, n->fd);
  n->fd = -1;
  for (from = BOUNCE_RCPTS_PER_PART; from < n->origin.count; from += BOUNCE_RCPTS_PER_PART) {
    buf_reset(&b);
    if (netstring_put_str(&b, "+") == -1 || put_rcpts(&b, n, from) == -1) {
      queue_die("ask relay-bounce: out of memory");
    }
    send_part(q, &b, -1);
  }
  buf_free(&b);
  n->state = NOTICE_ASKED;
}

/* The first of the list leaves it. */
static struct notice *take_first(struct queue *q)
{
  struct notice *n = q->notices_first;

  q->notices_first = n->next;
  q->notices_last = n->next ? q->notices_last : NULL;
  q->bounce_busy = false;
  return n;
}

static void done(struct disk_job *job)
{
  struct notice *n = CONTAINER(job, struct notice, job);
  struct queue *q = n->queue;

  if (n->error != 0 || over(q)) {
    if (n->error != 0) {
      report_warning("unable to read message %llu for its notice: %s",
                     (unsigned long long)n->origin.serial, strerror(n->error));
    }
    answer(q, take_first(q), false);
    return;
  }
  send_job(q, n);
}

void notice_run(struct queue *q)
{
  struct notice *n = q->notices_first;
  uint32_t i;

  if (!n || q->bounce_busy || over(q) || n->message->unsettled > 0) {
    return; /* unsettled: where its outcome is written is not known yet */
  }
  q->bounce_busy = true;
  n->state = NOTICE_READS;
  for (i = 0; i < n->origin.count; i++) {
    n->at[i] = n->message->rcpts[n->origin.rcpts[i]];
  }
  n->segment = n->message->segment;
  n->position = n->message->position;
  disk_put(&q->disk, &n->job, DISK_READ);
}

static bool origin_fits(const struct origin *o, const struct index_message *m)
{
  uint32_t i;

  for (i = 0; i < o->count; i++) {
    if (o->rcpts[i] >= m->rcpt_count) {
      return false;
    }
  }
  return true;
}

/* B serial kind n indexes: an origin's fields, but for the order of the first two. */
static int get_request(struct netstring_reader *r, struct origin *o)
{
  struct buf b = BUF_INIT(65536);
  struct netstring_reader again;
  uint64_t serial;
  int result = -1;
  char kind;

  netstring_get_u64(r, UINT64_MAX, &serial);
  if (netstring_get_char(r, &kind) == 0 && netstring_put(&b, &kind, 1) == 0 &&
      netstring_put_u64(&b, serial) == 0 &&
      buf_append(&b, r->next, (size_t)(r->end - r->next)) == 0) {
    netstring_open(&again, b.data, b.len);
    result = origin_get(&again, o);
    if (result == 0 && netstring_end(&again) == -1) {
      origin_free(o);
      result = -1;
    }
  }
  buf_free(&b);
  return result;
}

void notice_request(struct queue *q, struct netstring_reader *r)
{
  struct notice *n = calloc(1, sizeof(*n));
  struct index_message *m;

  if (!n || get_request(r, &n->origin) == -1) {
    free(n);
    report_warning("relay-send sent a garbled request for a notice");
    return;
  }
  n->fd = -1;
  n->queue = q;
  n->job.run = run;
  n->job.done = done;
  m = index_find(&q->index, n->origin.serial);
  n->rcpts = calloc(n->origin.count, sizeof(*n->rcpts));
  n->at = calloc(n->origin.count, sizeof(*n->at));
  if (!m || m->dsn_open || !n->rcpts || !n->at || !origin_fits(&n->origin, m)) {
    /* Of a message that is not there (any more) all recipients have ended. */
    answer(q, n, !m);
    return;
  }
  n->message = m;
  m->dsn_open = true;
  m->pins++;
  *(q->notices_last ? &q->notices_last->next : &q->notices_first) = n;
  q->notices_last = n;
}

static void datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  struct queue *q = CONTAINER(c, struct queue, bounce);
  struct notice *n = q->notices_first;
  struct bounce_answer a;

  if (bounce_get_answer(data, len, &a) == -1 || !q->bounce_busy || n->state != NOTICE_ASKED ||
      a.serial != n->origin.serial || (a.ok == 1) != (passed_fd != -1)) {
    report_warning("relay-bounce sent something garbled");
    if (passed_fd != -1) {
      close(passed_fd);
    }
    return;
  }
  take_first(q);
  n->state = NOTICE_COMMITS;
  if (a.ok == 1) {
    submission_notice(q, n, passed_fd, a.envelope_len, a.content_len);
  } else if (a.ok == 2) {
    loglines_printf(&q->log, '=', "nonotice id=%.*s reason=\"%s\"", ID_LENGTH, n->message->id,
                    a.text);
    commit_state(q, n);
  } else {
    report_warning("no notice could be made for message %.*s: %s", ID_LENGTH, n->message->id,
                   a.text);
    answer(q, n, false);
  }
}

static void closed(struct channel *c)
{
  struct queue *q = CONTAINER(c, struct queue, bounce);

  channel_close(c);
  if (!q->ending) {
    /* In order, so that no result of a dot in flight is lost: our own end follows relay-send's. */
    report_warning("relay-bounce has ended: all is started again");
    dispatch_stop(q);
  }
}

int notice_open(struct queue *q, int fd)
{
  q->bounce.datagram = datagram;
  q->bounce.closed = closed;
  return channel_open(&q->bounce, &q->loop, fd);
}
