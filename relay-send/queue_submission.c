#include "queue_submission.h"

#include "address.h"
#include "clock.h"
#include "io.h"
#include "memfd.h"
#include "queue_big.h"
#include "queue_dispatch.h"
#include "queue_inject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMFD_CONTENT_MAX (2 * INTAKE_BIG_BYTES) /* a longer one becomes a big file */

static void submission_free(struct submission *s)
{
  if (s->client) {
    s->client->submission = NULL;
    if (s->client->holder) {
      s->client->holder->bytes -= s->held;
    }
  }
  if (s->fd != -1) {
    close(s->fd);
  }
  envelope_free(&s->envelope);
  buf_free(&s->head);
  free(s);
}

/* The one answer. The submission is over. */
static void answer(struct submission *s, int code, const char *text)
{
  struct client *c = s->client;

  s->state = SUBMISSION_ANSWERED;
  if (c) {
    c->submission = NULL;
    if (c->holder) {
      c->holder->bytes -= s->held;
    }
    s->client = NULL;
    client_answer(c, 'V', code, text, -1);
  }
  if (s->notice) {
    notice_settled(s->queue, s->notice, code == 250);
  }
}

static void refuse(struct submission *s, int code, const char *text)
{
  if (s->big[0]) {
    big_forget(s->queue, s->big);
  }
  answer(s, code, text);
  submission_free(s);
}

static void refuse_errno(struct submission *s, int error)
{
  if (error == ENOSPC || error == EDQUOT) {
    refuse(s, 452, "4.3.1 queue file system is full");
  } else {
    refuse(s, 451, "4.3.0 unable to write to the queue");
  }
}

/* What the submitter gave is not a message: it cannot be trusted with another try. */
static void refuse_garbled(struct submission *s)
{
  struct client *c = s->client;

  if (s->big[0]) {
    big_forget(s->queue, s->big);
  }
  if (s->notice) {
    notice_settled(s->queue, s->notice, false);
  }
  submission_free(s);
  if (c) {
    client_close(c);
  }
}

static void log_queued(struct submission *s)
{
  const struct envelope *e = &s->envelope;
  struct logline line;
  char origin[ID_SIZE];

  line.len = 0;
  logline_str(&line, "queued id=");
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
    logline_str(&line, " dsn-of=");
    notice_origin_id(s->notice, origin);
    logline_str(&line, origin);
  }
  logline_str(&line, " from=<");
  logline_str(&line, e->sender);
  logline_str(&line, ">");
  loglines_put(&s->queue->log, '=', line.text, line.len);
}

static void settled(struct queue *q, void *owner, uint32_t argument, const struct settlement *t)
{
  struct submission *s = owner;
  char text[64] = "2.0.0 ";
  int fd;

  (void)argument;
  s->message->unsettled--;
  if (!t->durable) {
    index_remove(&q->index, s->message);
    refuse_errno(s, t->error);
    return;
  }
  s->state = SUBMISSION_DURABLE;
  index_place(&q->index, s->message, t->segment, t->offset, t->size);
  log_queued(s);
  memcpy(text + 6, s->envelope.id, ID_LENGTH);
  memcpy(text + 6 + ID_LENGTH, " queued", sizeof(" queued"));
  answer(s, 250, text);
  fd = s->fd;
  s->fd = -1;
  dispatch_announce(q, s->message, &s->envelope, fd);
  submission_free(s);
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

/* The index entry of a message whose envelope is known. NULL: refused and freed. */
static struct index_message *make_message(struct submission *s)
{
  struct queue *q = s->queue;
  struct index_message *m;

  if (s->envelope.rcpt_count == 0) {
    refuse_garbled(s);
    return NULL;
  }
  if (!s->notice && !all_have_domains(&s->envelope)) {
    refuse(s, 553, "5.1.3 a recipient has no domain");
    return NULL;
  }
  if (index_has_id(&q->index, s->envelope.id)) {
    refuse(s, 451, "4.3.0 this id is in use, try again");
    return NULL;
  }
  m = index_message_new(q->index.next_serial, s->envelope.id, s->envelope.rcpt_count);
  if (!m || (s->big[0] && !(m->big = strdup(s->big))) || index_add(&q->index, m) == -1) {
    if (m) {
      free(m->big);
    }
    free(m);
    refuse(s, 451, "4.3.0 out of memory");
    return NULL;
  }
  q->index.next_serial++;
  m->envelope_len = (uint32_t)s->envelope_len;
  m->content_len = s->content_len;
  return m;
}

static const struct origin *origin_of(const struct submission *s)
{
  return s->notice ? notice_origin(s->notice) : NULL;
}

/* The record behind start is whole but for its header. 0 or -1 (refused and freed). */
static int add_record(struct submission *s, size_t start, uint32_t extra_len)
{
  struct queue *q = s->queue;
  struct buf *b = commit_buffer(q);
  struct index_message *m = make_message(s);
  struct commit_item item = {.settled = settled, .owner = s};
  struct record r;

  if (!m) {
    b->len = start;
    return -1;
  }
  m->extra_len = extra_len;
  r = (struct record){.type = s->big[0] ? RECORD_BIG : RECORD_MESSAGE,
                      .rcpts = m->rcpt_count,
                      .serial = m->serial,
                      .envelope_len = m->envelope_len,
                      .extra_len = extra_len,
                      .content_len = m->content_len,
                      .content_sum = s->content_sum};
  record_put(b->data + start, &r);
  if (!s->big[0]) {
    record_sum_content(b->data + start);
  }
  if (commit_add(q, start, &item, true) == -1) {
    index_remove(&q->index, m);
    refuse(s, 451, "4.3.0 out of memory");
    return -1;
  }
  s->message = m;
  m->unsettled++;
  s->state = SUBMISSION_COMMITTING;
  return 0;
}

/* Envelope and content lie one behind the other in the memfd and, if there is no extra, in the
 * record too: one pread puts them there. */
static void commit_memfd(struct submission *s)
{
  struct buf *b = commit_buffer(s->queue), extra = BUF_INIT(ENVELOPE_RCPTS_MAX * 8 + 256);
  size_t start = b->len, len = s->envelope_len + s->content_len, envelope_at;

  if ((s->notice && extra_put(&extra, "", origin_of(s)) == -1) ||
      buf_reserve(b, RECORD_HEADER + extra.len + len) == -1) {
    buf_free(&extra);
    refuse(s, 451, "4.3.0 out of memory");
    return;
  }
  envelope_at = start + RECORD_HEADER;
  if (io_pread_all(s->fd, b->data + envelope_at, len, 0) == -1) {
    buf_free(&extra);
    refuse_errno(s, errno);
    return;
  }
  if (envelope_decode(&s->envelope, b->data + envelope_at, s->envelope_len) == -1) {
    buf_free(&extra);
    refuse_garbled(s);
    return;
  }
  if (extra.len > 0) {
    memmove(b->data + envelope_at + s->envelope_len + extra.len,
            b->data + envelope_at + s->envelope_len, s->content_len);
    memcpy(b->data + envelope_at + s->envelope_len, extra.data, extra.len);
  }
  b->len = envelope_at + extra.len + len;
  add_record(s, start, (uint32_t)extra.len);
  buf_free(&extra);
}

static void commit_big(struct submission *s)
{
  struct buf *b = commit_buffer(s->queue), extra = BUF_INIT(ENVELOPE_RCPTS_MAX * 8 + 256);
  size_t start = b->len;
  char header[RECORD_HEADER] = {0};

  if (envelope_decode(&s->envelope, s->head.data, s->head.len) == -1) {
    refuse_garbled(s);
    return;
  }
  if (extra_put(&extra, s->big, origin_of(s)) == -1 ||
      buf_append(b, header, sizeof(header)) == -1 ||
      buf_append(b, s->head.data, s->head.len) == -1 ||
      buf_append(b, extra.data, extra.len) == -1) {
    b->len = start;
    buf_free(&extra);
    refuse(s, 451, "4.3.0 out of memory");
    return;
  }
  add_record(s, start, (uint32_t)extra.len);
  buf_free(&extra);
}

static bool has_room(struct submission *s)
{
  size_t len = s->big[0] ? s->head.len : s->envelope_len + s->content_len;

  return commit_has_room(s->queue, len) && !channel_full(&s->queue->send);
}

static void commit_or_wait(struct submission *s)
{
  struct queue *q = s->queue;

  if (s->client && (q->floor.below || q->commit.stuck)) {
    refuse(s, 452, "4.3.1 queue file system is full");
    return;
  }
  if (!has_room(s)) {
    s->state = SUBMISSION_RECEIVED;
    s->next = NULL;
    *(q->waiting_last ? &q->waiting_last->next : &q->waiting_first) = s;
    q->waiting_last = s;
    return;
  }
  if (s->big[0]) {
    commit_big(s);
  } else {
    commit_memfd(s);
  }
}

void submission_run_waiting(struct queue *q)
{
  struct submission *s;

  while ((s = q->waiting_first) && has_room(s)) {
    q->waiting_first = s->next;
    q->waiting_last = q->waiting_first ? q->waiting_last : NULL;
    if (!s->client && !s->notice) {
      submission_free(s); /* withdrawn while it waited */
    } else {
      commit_or_wait(s);
    }
  }
}

void submission_prepared(struct submission *s, int error)
{
  if (!s->client && !s->notice) {
    big_forget(s->queue, s->big);
    submission_free(s);
  } else if (error == EINVAL) {
    refuse_garbled(s);
  } else if (error) {
    refuse_errno(s, error);
  } else {
    commit_or_wait(s);
  }
}

void submission_orphan(struct submission *s)
{
  if (s->client->holder) {
    s->client->holder->bytes -= s->held;
  }
  s->client->submission = NULL;
  s->client = NULL;
}

static struct submission *submission_new(struct queue *q, int fd, uint64_t envelope_len,
                                         uint64_t content_len)
{
  struct submission *s = calloc(1, sizeof(*s));

  if (!s) {
    close(fd);
    return NULL;
  }
  s->queue = q;
  s->fd = fd;
  s->envelope_len = envelope_len;
  s->content_len = content_len;
  envelope_init(&s->envelope);
  buf_init(&s->head, ENVELOPE_MAX);
  return s;
}

static void begin(struct submission *s)
{
  if (s->envelope_len == 0 || s->envelope_len > ENVELOPE_MAX ||
      s->content_len > INTAKE_CONTENT_MAX) {
    refuse_garbled(s);
  } else if (s->fd != -1 && memfd_check(s->fd, (off_t)(s->envelope_len + s->content_len)) == -1) {
    refuse_garbled(s);
  } else if (s->fd == -1 || s->content_len > MEMFD_CONTENT_MAX) {
    s->state = SUBMISSION_PREPARING;
    big_prepare(s);
  } else if (s->inject && inject_rewrite(s) == -1) {
    if (errno == EINVAL) {
      refuse_garbled(s);
    } else {
      refuse_errno(s, errno);
    }
  } else {
    commit_or_wait(s);
  }
}

void submission_receive(struct client *c, const struct intake_request *r, int passed_fd)
{
  struct queue *q = c->queue;
  struct submission *s = submission_new(q, passed_fd, r->envelope_len, r->content_len);

  if (!s) {
    client_close(c);
    return;
  }
  s->client = c;
  c->submission = s;
  s->pid = c->pid;
  s->uid = c->uid;
  s->inject = c->inject;
  memcpy(s->big, r->name, sizeof(s->big));
  if (s->big[0]) {
    c->big[0] = '\0'; /* the submission's now */
  }
  if (q->ending) {
    refuse(s, 451, "4.3.0 relay is stopping");
    return;
  }
  if (c->inject) {
    if (q->config.databytes && s->content_len > q->config.databytes) {
      refuse(s, 552, "5.3.4 message is too big");
      return;
    }
    if (c->holder->bytes + s->content_len > q->config.inject_bytes) {
      refuse(s, 451, "4.3.2 too many bytes of yours are on their way in");
      return;
    }
    s->held = s->content_len;
    c->holder->bytes += s->held;
  }
  begin(s);
}

void submission_notice(struct queue *q, struct notice *n, int fd, uint64_t envelope_len,
                       uint64_t content_len)
{
  struct submission *s = submission_new(q, fd, envelope_len, content_len);

  if (!s) {
    notice_settled(q, n, false);
    return;
  }
  s->notice = n;
  s->pid = getpid();
  s->uid = getuid();
  begin(s);
}
