#include "queue_dispatch.h"

#include "clock.h"
#include "queue_big.h"
#include "queue_handout.h"
#include "queue_notice.h"
#include "queue_tell.h"
#include "queue_trial.h"
#include "report.h"
#include "seqpacket.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TELL_ROOM 1000 /* a dispatch_rcpt at its longest, with room */

void dispatch_send(struct queue *q, struct buf *b, int fd)
{
  if (channel_send(&q->send, b->data, b->len, fd) == -1 && !q->send.broken && !q->ending) {
    /* Its bound is exceeded twofold, or no memory: what relay-send was not told is on disk. */
    queue_die("send to relay-send");
  }
}

static void fill_message(struct dispatch_message *out, const struct index_message *m,
                         const struct envelope *e)
{
  *out = (struct dispatch_message){.serial = m->serial,
                                   .priority = e->priority,
                                   .flags = e->flags,
                                   .arrival = e->arrival,
                                   .envelope_len = m->envelope_len,
                                   .content_len = m->content_len,
                                   .rcpts_total = m->live,
                                   .through = m->segment ? 0 : e->through};
  memcpy(out->id, e->id, sizeof(out->id));
  memcpy(out->sender, e->sender, sizeof(out->sender));
  memcpy(out->tenant, e->tenant, sizeof(out->tenant));
  memcpy(out->source, e->source, sizeof(out->source));
  memcpy(out->destination, e->destination, sizeof(out->destination));
}

static int put_part(struct buf *b, const struct dispatch_message *head, const struct buf *rcpts,
                    uint32_t count)
{
  buf_reset(b);
  return dispatch_put_message(b, head, count) == -1 ? -1 : buf_append(b, rcpts->data, rcpts->len);
}

static int put_rcpt(struct buf *b, const struct index_message *m, const struct envelope *e,
                    uint32_t i)
{
  struct dispatch_rcpt r = {.rcpt = i,
                            .notify = e->rcpts[i].notify,
                            .state = (enum rcpt_state)m->rcpts[i].state,
                            .attempts = m->rcpts[i].attempts,
                            .next = (int64_t)m->rcpts[i].next * 1000,
                            .delay_told = m->rcpts[i].delay_told};

  strcpy(r.address, e->rcpts[i].address); /* envelope_decode() keeps to ADDRESS_MAX */
  return dispatch_put_rcpt(b, &r);
}

int dispatch_tell(const struct index_message *m, const struct envelope *e,
                  int (*put)(void *arg, struct buf *b, bool last), void *arg)
{
  /* Kept for the next message; both threads tell. */
  static _Thread_local struct buf b = {.max = SEQPACKET_MAX};
  static _Thread_local struct buf rcpts = {.max = SEQPACKET_MAX - 4096};
  struct dispatch_message head;
  uint32_t i, here = 0, told = 0;

  buf_reset(&rcpts);
  fill_message(&head, m, e);
  for (i = 0; i < m->rcpt_count; i++) {
    if (m->rcpts[i].state == RCPT_ENDED) {
      continue;
    }
    if (put_rcpt(&rcpts, m, e, i) == -1) {
      return -1;
    }
    here++;
    told++;
    if (told == m->live || here == DISPATCH_RCPTS_PER_PART ||
        rcpts.len + TELL_ROOM > rcpts.max) {
      head.last = told == m->live;
      if (put_part(&b, &head, &rcpts, here) == -1 || put(arg, &b, head.last) == -1) {
        return -1;
      }
      buf_reset(&rcpts);
      here = 0;
    }
  }
  return 0;
}

struct announcement {
  struct queue *queue;
  int fd;
};

static int put_announcement(void *arg, struct buf *b, bool last)
{
  struct announcement *a = arg;

  dispatch_send(a->queue, b, last ? a->fd : -1);
  return 0;
}

void dispatch_announce(struct queue *q, const struct index_message *m, const struct envelope *e,
                       int fd)
{
  struct announcement a = {.queue = q, .fd = fd};

  if (!q->told) {
    /* Replay is being told; the message has its turn there (queue_tell.h). */
    if (fd != -1) {
      close(fd);
    }
    tell_add(q, m->serial);
    return;
  }
  if (dispatch_tell(m, e, put_announcement, &a) == -1) {
    queue_die("tell relay-send of a message: out of memory");
  }
}

void dispatch_announce_through(struct queue *q, const struct index_message *m,
                               const struct envelope *e, int fd)
{
  struct announcement a = {.queue = q, .fd = fd};

  if (dispatch_tell(m, e, put_announcement, &a) == -1) {
    queue_die("tell relay-send of a message: out of memory");
  }
}

void dispatch_pause(struct queue *q, bool pause)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "P") == 0 && netstring_put_u64(&b, pause) == 0) {
    dispatch_send(q, &b, -1);
  }
  buf_free(&b);
}

void dispatch_stop(struct queue *q)
{
  struct buf b = BUF_INIT(16);

  if (netstring_put_str(&b, "S") == 0) {
    dispatch_send(q, &b, -1);
  }
  buf_free(&b);
}

void dispatch_bounced(struct queue *q, uint64_t serial, bool ok)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "D") == 0 && netstring_put_u64(&b, serial) == 0 &&
      netstring_put_u64(&b, ok) == 0) {
    dispatch_send(q, &b, -1);
  }
  buf_free(&b);
}

void dispatch_end_message(struct queue *q, struct index_message *m)
{
  if (m->live > 0 || m->unsettled > 0 || m->pins > 0) {
    return;
  }
  if (m->big) {
    big_forget(q, m->big);
  }
  index_remove(&q->index, m);
}

static void result_settled(struct queue *q, void *owner, uint32_t rcpt, const struct settlement *s)
{
  struct index_message *m = owner;

  index_set_location(m, rcpt, s->segment, s->offset);
  m->unsettled--;
  if (m->given_up && m->unsettled == 0) {
    index_remove(&q->index, m);
  } else {
    dispatch_end_message(q, m);
  }
}

static const char *verdict_name(enum verdict v)
{
  switch (v) {
  case VERDICT_DELIVERED:
    return "delivered";
  case VERDICT_FAILED:
    return "failed";
  case VERDICT_DROPPED:
    return "dropped";
  case VERDICT_DEFERRED:
    break;
  }
  return "deferred";
}

static void log_result(struct queue *q, const struct index_message *m,
                       const struct dispatch_result *r)
{
  const struct outcome *o = &r->outcome;
  struct logline line;
  char id[ID_SIZE] = {0};

  memcpy(id, m->id, ID_LENGTH);
  line.len = 0;
  logline_str(&line, "result id=");
  logline_str(&line, id);
  logline_str(&line, " serial=");
  logline_u64(&line, m->serial);
  logline_str(&line, " rcpt=");
  logline_u64(&line, o->rcpt);
  logline_str(&line, " verdict=");
  logline_str(&line, verdict_name(o->verdict));
  logline_str(&line, " status=");
  logline_str(&line, o->status);
  logline_str(&line, " attempts=");
  logline_u64(&line, r->attempts);
  logline_str(&line, " host=");
  logline_str(&line, o->host);
  logline_str(&line, " reply=\"");
  logline_str(&line, o->reply);
  logline_str(&line, "\"");
  loglines_put(&q->log, '=', line.text, line.len);
}

/* A result goes into memory at once and into the batch; a failed write keeps it for the next. */
static void take_result(struct queue *q, struct index_message *m, const struct dispatch_result *r)
{
  struct commit_item item = {
    .settled = result_settled, .owner = m, .argument = r->outcome.rcpt, .kept = true};
  struct entry e;
  struct record record = {.type = RECORD_RESULT, .serial = m->serial};
  struct buf b = BUF_INIT(8192);

  if (m->rcpts[r->outcome.rcpt].state == RCPT_ENDED) {
    return; /* said twice */
  }
  entry_of_result(&e, r);
  e.delay_told = m->rcpts[e.rcpt].delay_told;
  if (entry_put(&b, &e) == -1) {
    queue_die("keep a result: out of memory");
  }
  record.states_len = (uint32_t)b.len;
  if (commit_put(q, &record, &b, &item, false) == -1) {
    queue_die("keep a result: out of memory");
  }
  buf_free(&b);
  index_apply_entry(m, &e);
  m->unsettled++;
  log_result(q, m, r);
}

static void take_results(struct queue *q, struct netstring_reader *r)
{
  struct netstring_reader check;
  struct dispatch_result result;
  struct index_message *m;
  struct trial *t;
  uint64_t serial;

  netstring_get_u64(r, UINT64_MAX, &serial);
  t = trial_find(q, serial);
  m = t ? t->submission->message : index_find(&q->index, serial);
  check = *r;
  while (netstring_more(&check)) {
    if (dispatch_get_result(&check, &result) == -1 || (m && result.outcome.rcpt >= m->rcpt_count)) {
      check.bad = true;
    }
  }
  if (netstring_end(&check) == -1) {
    report_warning("relay-send sent a garbled result");
    return;
  }
  while (m && netstring_more(r)) {
    dispatch_get_result(r, &result);
    if (t) {
      log_result(q, m, &result);
      trial_result(t, &result);
    } else {
      take_result(q, m, &result);
    }
  }
  if (t) {
    trial_decide(t);
  }
}

static void note_settled(struct queue *q, void *owner, uint32_t argument,
                         const struct settlement *s)
{
  struct index_note *n = owner;

  (void)argument;
  n->unsettled--;
  index_note_place(&q->index, n, s->segment);
}

void dispatch_write_note(struct queue *q, struct index_note *n)
{
  struct commit_item item = {.settled = note_settled, .owner = n, .kept = true};
  struct record record = {.type = RECORD_NOTE};
  struct buf b = BUF_INIT(2048);

  if (netstring_put_str(&b, n->key) == -1 || netstring_put_str(&b, n->value) == -1) {
    queue_die("keep a note: out of memory");
  }
  record.extra_len = (uint32_t)b.len;
  if (commit_put(q, &record, &b, &item, false) == -1) {
    queue_die("keep a note: out of memory");
  }
  n->unsettled++;
  buf_free(&b);
}

static void take_note(struct queue *q, struct netstring_reader *r)
{
  char key[DISPATCH_NOTE_KEY_SIZE], value[DISPATCH_NOTE_VALUE_SIZE];
  struct index_note *n;

  netstring_get_str(r, key, sizeof(key));
  netstring_get_str(r, value, sizeof(value));
  if (netstring_end(r) == -1) {
    report_warning("relay-send sent a garbled note");
    return;
  }
  n = index_note_set(&q->index, key, value);
  if (!n) {
    queue_die("keep a note: out of memory");
  }
  dispatch_write_note(q, n);
}

static void datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  struct queue *q = CONTAINER(c, struct queue, send);
  struct netstring_reader r;
  char verb;

  if (passed_fd != -1) {
    close(passed_fd);
  }
  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) == -1) {
    verb = 0;
  }
  switch (verb) {
  case 'R':
    take_results(q, &r);
    break;
  case 'G':
    handout_message(q, &r);
    break;
  case 'Y':
    handout_last_words(q, &r);
    break;
  case 'B':
    notice_request(q, &r);
    break;
  case 'N':
    take_note(q, &r);
    break;
  case 'T':
    trial_request(q, &r);
    break;
  default:
    report_warning("relay-send sent something garbled");
  }
}

/* Its datagrams have all been read by now: every R is in a batch. */
static void closed(struct channel *c)
{
  struct queue *q = CONTAINER(c, struct queue, send);

  q->ending = true;
  channel_close(c);
  trial_end_all(q);
}

int dispatch_open(struct queue *q, int fd)
{
  q->send.datagram = datagram;
  q->send.closed = closed;
  if (channel_open(&q->send, &q->loop, fd) == -1) {
    return -1;
  }
  /* No request before E, so that nothing changes while the queue is being told. */
  channel_pause(&q->send, true);
  return tell_start(q);
}
