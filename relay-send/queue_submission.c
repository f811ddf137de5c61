#include "queue_submission.h"

#include "memfd.h"
#include "queue_admit.h"
#include "queue_big.h"
#include "queue_inject.h"
#include "queue_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMFD_CONTENT_MAX (2 * INTAKE_BIG_BYTES) /* a longer one becomes a big file */

void submission_free(struct submission *s)
{
  if (s->client) {
    s->client->submission = NULL;
    if (s->client->holder) {
      s->client->holder->bytes -= s->held;
    }
  }
  trial_free(s);
  s->queue->memory -= s->memory;
  if (s->message && !s->indexed) {
    free(s->message->big);
    free(s->message);
  }
  if (s->fd != -1) {
    close(s->fd);
  }
  envelope_free(&s->envelope);
  buf_free(&s->head);
  free(s);
}

void submission_answer(struct submission *s, int code, const char *text)
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

void submission_refuse(struct submission *s, int code, const char *text)
{
  if (s->big[0]) {
    big_forget(s->queue, s->big);
  }
  submission_answer(s, code, text);
  submission_free(s);
}

void submission_refuse_errno(struct submission *s, int error)
{
  if (error == ENOSPC || error == EDQUOT) {
    submission_refuse(s, 452, "4.3.1 queue file system is full");
  } else {
    submission_refuse(s, 451, "4.3.0 unable to write to the queue");
  }
}

void submission_refuse_garbled(struct submission *s)
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

static bool has_room(struct submission *s)
{
  size_t len = s->big[0] ? s->head.len : s->envelope_len + s->content_len;

  return commit_has_room(s->queue, len) && !channel_full(&s->queue->send);
}

void submission_commit(struct submission *s)
{
  struct queue *q = s->queue;

  if (s->client && (q->floor.below || q->commit.stuck)) {
    submission_refuse(s, 452, "4.3.1 queue file system is full");
    return;
  }
  if (!has_room(s)) {
    s->state = SUBMISSION_RECEIVED;
    s->next = NULL;
    *(q->waiting_last ? &q->waiting_last->next : &q->waiting_first) = s;
    q->waiting_last = s;
    return;
  }
  admit_commit(s);
}

void submission_run_waiting(struct queue *q)
{
  struct submission *s;

  while ((s = q->waiting_first) && has_room(s)) {
    q->waiting_first = s->next;
    q->waiting_last = q->waiting_first ? q->waiting_last : NULL;
    if (!s->client && !s->notice) { /* withdrawn while it waited */
      if (s->big[0]) {
        big_forget(q, s->big);
      }
      submission_free(s);
    } else {
      submission_commit(s);
    }
  }
}

void submission_prepared(struct submission *s, int error)
{
  if (!s->client && !s->notice) {
    big_forget(s->queue, s->big);
    submission_free(s);
  } else if (error == EINVAL) {
    submission_refuse_garbled(s);
  } else if (error) {
    submission_refuse_errno(s, error);
  } else {
    submission_commit(s);
  }
}

void submission_orphan(struct submission *s)
{
  if (s->client->holder) {
    s->client->holder->bytes -= s->held;
  }
  s->client->submission = NULL;
  s->client = NULL;
  trial_withdraw(s);
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

void submission_to_disk(struct submission *s)
{
  if (s->fd == -1 || s->content_len > MEMFD_CONTENT_MAX) {
    s->state = SUBMISSION_PREPARING;
    big_prepare(s);
  } else {
    submission_commit(s);
  }
}

static void begin(struct submission *s)
{
  if (s->envelope_len == 0 || s->envelope_len > ENVELOPE_MAX ||
      s->content_len > INTAKE_CONTENT_MAX) {
    submission_refuse_garbled(s);
  } else if (s->fd != -1 && memfd_check(s->fd, (off_t)(s->envelope_len + s->content_len)) == -1) {
    submission_refuse_garbled(s);
  } else if (s->through_wanted && trial_begin(s)) {
    return;
  } else if (s->inject && s->fd != -1 && s->content_len <= MEMFD_CONTENT_MAX && inject_rewrite(s) == -1) {
    if (errno == EINVAL) {
      submission_refuse_garbled(s);
    } else {
      submission_refuse_errno(s, errno);
    }
  } else {
    submission_to_disk(s);
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
  s->through_wanted = c->inject || s->fd == -1 ? 0 : r->through;
  s->memory = c->memory; /* the submission's now */
  c->memory = 0;
  memcpy(s->big, r->name, sizeof(s->big));
  if (s->big[0]) {
    c->big[0] = '\0'; /* the submission's now */
  }
  if (q->ending) {
    submission_refuse(s, 451, "4.3.0 relay is stopping");
    return;
  }
  if (r->through & ENVELOPE_THROUGH_ONLY && s->through_wanted == 0) {
    submission_refuse(s, 452, "4.3.1 too big to be kept in memory");
    return;
  }
  if (c->inject) {
    if (q->config.databytes && s->content_len > q->config.databytes) {
      submission_refuse(s, 552, "5.3.4 message is too big");
      return;
    }
    if (c->holder->bytes + s->content_len > q->config.inject_bytes) {
      submission_refuse(s, 451, "4.3.2 too many bytes of yours are on their way in");
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
