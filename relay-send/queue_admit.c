/*
 * A submission's record: its place in the index, in the batch, and what
 * follows when the batch is settled.
 */
#include "queue_admit.h"

#include "address.h"
#include "io.h"
#include "queue_dispatch.h"
#include "queue_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void admit_log(struct submission *s, const char *word)
{
  const struct envelope *e = &s->envelope;
  struct logline line;
  char origin[ID_SIZE];

  line.len = 0;
  logline_str(&line, word);
  logline_str(&line, " id=");
  logline_str(&line, e->id);
  logline_str(&line, " serial=");
  logline_u64(&line, s->message->serial);
  logline_str(&line, " tenant=");
  logline_str(&line, e->tenant);
  logline_str(&line, " pid=");
  logline_u64(&line, (uint64_t)s->pid);
  logline_str(&line, " uid=");
  logline_u64(&line, s->uid);
  logline_str(&line, " bytes=");
  logline_u64(&line, s->content_len);
  logline_str(&line, " rcpts=");
  logline_u64(&line, e->rcpt_count);
  if (s->notice) {
    notice_origin_id(s->notice, origin);
    logline_str(&line, " dsn-of=");
    logline_str(&line, origin);
  }
  logline_str(&line, " from=<");
  logline_str(&line, e->sender);
  logline_str(&line, ">");
  loglines_put(&s->queue->log, '=', line.text, line.len);
}

/* Results of a message of through may be in batches although it is not: these end it then. */
static void give_up_message(struct queue *q, struct index_message *m)
{
  if (m->unsettled > 0) {
    m->given_up = true;
  } else {
    index_remove(&q->index, m);
  }
}

static void settled(struct queue *q, void *owner, uint32_t argument, const struct settlement *t)
{
  struct submission *s = owner;
  struct index_message *m = s->message;
  char text[64] = "2.0.0 ";
  int fd;

  (void)argument;
  m->unsettled--;
  if (!t->durable) {
    give_up_message(q, m);
    s->message = NULL;
    submission_refuse_errno(s, t->error);
    return;
  }
  s->state = SUBMISSION_DURABLE;
  index_place(&q->index, s->message, t->segment, t->offset, t->size);
  admit_log(s, "queued");
  memcpy(text + 6, s->envelope.id, ID_LENGTH);
  memcpy(text + 6 + ID_LENGTH, " queued", sizeof(" queued"));
  submission_answer(s, 250, text);
  if (s->trial) {
    trial_committed(s, t);
  } else {
    fd = s->fd;
    s->fd = -1;
    dispatch_announce(q, s->message, &s->envelope, fd);
  }
  submission_free(s);
  /* Of through: an attempt that ran while the message waited for the disk may have ended it. */
  dispatch_end_message(q, m);
}

/* relay-smtpd and relay-inject complete addresses; who has not cannot be served by any MX. */
static bool all_have_domains(const struct envelope *e)
{
  for (uint32_t i = 0; i < e->rcpt_count; i++) {
    if (!address_domain(e->rcpts[i].address)) {
      return false;
    }
  }
  return true;
}

struct index_message *admit_message(struct submission *s)
{
  struct queue *q = s->queue;
  struct index_message *m;

  if (s->envelope.rcpt_count == 0) {
    submission_refuse_garbled(s);
    return NULL;
  }
  if (!s->notice && !all_have_domains(&s->envelope)) {
    submission_refuse(s, 553, "5.1.3 a recipient has no domain");
    return NULL;
  }
  if (index_has_id(&q->index, s->envelope.id)) {
    submission_refuse(s, 451, "4.3.0 this id is in use, try again");
    return NULL;
  }
  m = index_message_new(q->index.next_serial, s->envelope.id, s->envelope.rcpt_count);
  if (!m) {
    submission_refuse(s, 451, "4.3.0 out of memory");
    return NULL;
  }
  q->index.next_serial++;
  m->envelope_len = (uint32_t)s->envelope_len;
  m->content_len = s->content_len;
  return m;
}

/* s->message, in the index. -1: refused and freed. */
static int enter_index(struct submission *s)
{
  struct queue *q = s->queue;
  struct index_message *m = s->message;

  if (s->trial && index_has_id(&q->index, s->envelope.id)) {
    submission_refuse(s, 451, "4.3.0 this id is in use, try again");
    return -1;
  }
  if (!m) {
    m = admit_message(s);
    if (!m) {
      return -1;
    }
    s->message = m;
  }
  if ((s->big[0] && !(m->big = strdup(s->big))) || index_add(&q->index, m) == -1) {
    submission_refuse(s, 451, "4.3.0 out of memory");
    return -1;
  }
  s->indexed = true;
  return 0;
}

static const struct origin *origin_of(const struct submission *s)
{
  return s->notice ? notice_origin(s->notice) : NULL;
}

/* What stands in the head behind the envelope: states, then extra. */
struct rest {
  struct buf bytes;
  uint32_t states_len, extra_len;
};

static int make_rest(struct submission *s, struct rest *rest)
{
  *rest = (struct rest){.bytes = BUF_INIT(RECORD_HEAD_MAX)};
  if (s->trial && trial_put_states(s, &rest->bytes) == -1) {
    return -1;
  }
  rest->states_len = (uint32_t)rest->bytes.len;
  if ((s->big[0] || s->notice) && extra_put(&rest->bytes, s->big, origin_of(s)) == -1) {
    return -1;
  }
  rest->extra_len = (uint32_t)rest->bytes.len - rest->states_len;
  return 0;
}

/* The record behind start is whole but for its header. */
static void add_record(struct submission *s, size_t start, const struct rest *rest)
{
  struct queue *q = s->queue;
  struct buf *b = commit_buffer(q);
  struct commit_item item = {.settled = settled, .owner = s};
  struct index_message *m;
  struct record r;

  if (enter_index(s) == -1) {
    b->len = start;
    return;
  }
  m = s->message;
  m->states_len = rest->states_len;
  m->extra_len = rest->extra_len;
  r = (struct record){.type = s->big[0] ? RECORD_BIG : RECORD_MESSAGE,
                      .rcpts = m->rcpt_count,
                      .serial = m->serial,
                      .envelope_len = m->envelope_len,
                      .states_len = m->states_len,
                      .extra_len = m->extra_len,
                      .content_len = m->content_len,
                      .content_sum = s->content_sum};
  record_put(b->data + start, &r);
  if (!s->big[0]) {
    record_sum_content(b->data + start);
  }
  if (commit_add(q, start, &item, true) == -1) {
    index_remove(&q->index, m);
    s->message = NULL;
    submission_refuse(s, 451, "4.3.0 out of memory");
    return;
  }
  m->unsettled++;
  s->state = SUBMISSION_COMMITTING;
  if (s->trial) {
    trial_committing(s);
  }
}

/* Envelope and content, as they lie in the memfd, with the rest between them. 0 or -1 with errno. */
static int read_memfd(struct submission *s, char *to, const struct buf *rest)
{
  size_t envelope_len = s->envelope_len, content_len = s->content_len;

  if (rest->len == 0) {
    return io_pread_all(s->fd, to, envelope_len + content_len, 0);
  }
  memcpy(to + envelope_len, rest->data, rest->len);
  return io_pread_all(s->fd, to, envelope_len, 0) == -1
           ? -1
           : io_pread_all(s->fd, to + envelope_len + rest->len, content_len, (off_t)envelope_len);
}

static void add_memfd(struct submission *s, const struct rest *rest)
{
  struct buf *b = commit_buffer(s->queue);
  size_t start = b->len, len = s->envelope_len + rest->bytes.len + s->content_len, at;

  if (buf_reserve(b, RECORD_HEADER + len) == -1) {
    submission_refuse(s, 451, "4.3.0 out of memory");
    return;
  }
  at = start + RECORD_HEADER;
  if (read_memfd(s, b->data + at, &rest->bytes) == -1) {
    submission_refuse_errno(s, errno);
    return;
  }
  if (!s->trial && envelope_decode(&s->envelope, b->data + at, s->envelope_len) == -1) {
    submission_refuse_garbled(s);
    return;
  }
  b->len = at + len;
  add_record(s, start, rest);
}

static void add_big(struct submission *s, const struct rest *rest)
{
  struct buf *b = commit_buffer(s->queue);
  size_t start = b->len;
  char header[RECORD_HEADER] = {0};

  if (!s->trial && envelope_decode(&s->envelope, s->head.data, s->head.len) == -1) {
    submission_refuse_garbled(s);
    return;
  }
  if (buf_append(b, header, sizeof(header)) == -1 ||
      buf_append(b, s->head.data, s->head.len) == -1 ||
      buf_append(b, rest->bytes.data, rest->bytes.len) == -1) {
    b->len = start;
    submission_refuse(s, 451, "4.3.0 out of memory");
    return;
  }
  add_record(s, start, rest);
}

void admit_commit(struct submission *s)
{
  struct rest rest;

  if (make_rest(s, &rest) == -1) {
    submission_refuse(s, 451, "4.3.0 out of memory");
  } else if (s->big[0]) {
    add_big(s, &rest);
  } else {
    add_memfd(s, &rest);
  }
  buf_free(&rest.bytes);
}
