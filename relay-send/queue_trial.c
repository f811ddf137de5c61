#include "queue_trial.h"

#include "io.h"
#include "queue_admit.h"
#include "queue_dispatch.h"
#include "report.h"
#include "through_words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const void *key(const void *item, size_t *len)
{
  const struct trial *t = item;

  *len = sizeof(t->serial);
  return &t->serial;
}

void trial_start(struct queue *q)
{
  hash_init(&q->trials, key);
}

struct trial *trial_find(const struct queue *q, uint64_t serial)
{
  return hash_find(&q->trials, &serial, sizeof(serial));
}

uint32_t trial_rcpts(const struct trial *t)
{
  return t->rcpts;
}

static bool only(const struct submission *s)
{
  return s->through_wanted & ENVELOPE_THROUGH_ONLY;
}

static void leave_table(struct trial *t)
{
  if (t->tabled) {
    hash_remove(&t->submission->queue->trials, &t->serial, sizeof(t->serial));
    t->tabled = false;
  }
}

/* C */
static void tell(struct queue *q, uint64_t serial, bool durable)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "C") == -1 || netstring_put_u64(&b, serial) == -1 ||
      netstring_put_u64(&b, durable) == -1) {
    queue_die("tell relay-send of a message: out of memory");
  }
  dispatch_send(q, &b, -1);
  buf_free(&b);
}

void trial_free(struct submission *s)
{
  struct trial *t = s->trial;

  if (!t) {
    return;
  }
  leave_table(t);
  if (!t->over && !s->queue->ending) {
    tell(s->queue, t->serial, false);
  }
  for (uint32_t i = 0; i < trial_rcpts(t); i++) {
    free(t->results[i]);
  }
  free(t->results);
  free(t);
  s->trial = NULL;
}

/* The verdict is spoken and relay-send is done with the message; or C 0 tells it so. */
static void conclude(struct trial *t, const struct outcome *o, bool over)
{
  struct submission *s = t->submission;
  char text[INTAKE_TEXT_SIZE];
  int code;

  through_words(o, &code, text);
  t->over = over;
  submission_answer(s, code, text);
  submission_free(s);
}

/* Now or never: relay-send can take a message, and this one may stay in memory. */
static bool possible(const struct submission *s)
{
  const struct queue *q = s->queue;

  return q->told && !q->ending && !q->commit.stuck && !channel_full(&q->send) &&
         (s->content_len <= INTAKE_BIG_BYTES || s->content_len <= s->memory);
}

/* 1: it is decoded; 0: refused and freed. */
static int read_envelope(struct submission *s)
{
  if (buf_reserve(&s->head, s->envelope_len) == -1 ||
      io_pread_all(s->fd, s->head.data, s->envelope_len, 0) == -1) {
    submission_refuse_errno(s, errno);
    return 0;
  }
  s->head.len = s->envelope_len;
  if (envelope_decode(&s->envelope, s->head.data, s->head.len) == -1 ||
      s->envelope.through != s->through_wanted ||
      (only(s) && s->envelope.rcpt_count > 1)) {
    submission_refuse_garbled(s);
    return 0;
  }
  return 1;
}

/* 0, or -1: no memory, no descriptor. Nothing to undo then but what submission_free() does. */
static int make(struct submission *s, int *fd)
{
  struct trial *t = calloc(1, sizeof(*t));

  if (!t) {
    return -1;
  }
  t->results = calloc(s->message->rcpt_count, sizeof(*t->results));
  *fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
  t->serial = s->message->serial;
  t->rcpts = s->message->rcpt_count;
  t->submission = s;
  if (!t->results || *fd == -1 || hash_insert(&s->queue->trials, t) == -1) {
    if (*fd != -1) {
      close(*fd);
    }
    free(t->results);
    free(t);
    return -1;
  }
  t->tabled = true;
  s->trial = t;
  return 0;
}

bool trial_begin(struct submission *s)
{
  struct index_message *m;
  int fd;

  if (!possible(s)) {
    if (!only(s)) {
      return false;
    }
    submission_refuse(s, 451, "4.3.2 the relay cannot pass messages through now, try again later");
    return true;
  }
  if (!read_envelope(s)) {
    return true;
  }
  m = admit_message(s);
  if (!m) {
    return true;
  }
  s->message = m;
  if (make(s, &fd) == -1) {
    submission_refuse(s, 451, "4.3.0 out of memory or descriptors");
    return true;
  }
  s->state = SUBMISSION_THROUGH;
  admit_log(s, "through");
  dispatch_announce_through(s->queue, s->message, &s->envelope, fd);
  return true;
}

void trial_result(struct trial *t, const struct dispatch_result *r)
{
  struct dispatch_result **at = &t->results[r->outcome.rcpt];

  if (*at && (*at)->outcome.verdict != VERDICT_DEFERRED) {
    return; /* said twice */
  }
  if (!*at) {
    *at = malloc(sizeof(**at));
    if (!*at) {
      queue_die("keep a result: out of memory");
    }
    t->settled++;
  }
  **at = *r;
}

/* What the results of all recipients come to. */
struct sum {
  uint32_t deferred, failed, due;
  const struct outcome *good, *bad, *late; /* the first of each kind */
};

static struct sum sum_up(const struct trial *t)
{
  struct sum sum = {0};

  for (uint32_t i = 0; i < trial_rcpts(t); i++) {
    const struct dispatch_result *r = t->results[i];
    if (!r) {
      continue;
    }
    sum.due += r->dsn_due;
    if (r->outcome.verdict == VERDICT_DEFERRED) {
      sum.deferred++;
      sum.late = sum.late ? sum.late : &r->outcome;
    } else if (r->outcome.verdict == VERDICT_FAILED) {
      sum.failed++;
      sum.bad = sum.bad ? sum.bad : &r->outcome;
    } else {
      sum.good = sum.good ? sum.good : &r->outcome;
    }
  }
  return sum;
}

void trial_decide(struct trial *t)
{
  struct submission *s = t->submission;
  struct sum sum = sum_up(t);

  if (s->state != SUBMISSION_THROUGH) {
    return; /* on its way to the disk already */
  }
  if (sum.deferred > 0 && only(s)) {
    conclude(t, sum.late, false);
  } else if (sum.deferred > 0) {
    submission_to_disk(s);
  } else if (t->settled < trial_rcpts(t)) {
    return;
  } else if (sum.failed == trial_rcpts(t)) {
    conclude(t, sum.bad, sum.due == 0); /* the submitter tells its sender, so we must not */
  } else if (sum.due > 0) {
    submission_to_disk(s);
  } else {
    conclude(t, sum.good, true);
  }
}

void trial_request(struct queue *q, struct netstring_reader *r)
{
  char text[INTAKE_TEXT_SIZE];
  struct trial *t;
  uint64_t serial;

  netstring_get_u64(r, UINT64_MAX, &serial);
  netstring_get_str(r, text, sizeof(text));
  if (netstring_end(r) == -1) {
    report_warning("relay-send sent a garbled word about a message of through");
    return;
  }
  t = trial_find(q, serial);
  if (!t || t->submission->state != SUBMISSION_THROUGH) {
    return; /* it has been decided meanwhile */
  }
  if (only(t->submission)) {
    submission_refuse(t->submission, 451, text[0] ? text : "4.4.5 no connection was free in time");
  } else {
    submission_to_disk(t->submission);
  }
}

void trial_withdraw(struct submission *s)
{
  if (s->state == SUBMISSION_THROUGH) {
    submission_free(s);
  }
}

void trial_end_all(struct queue *q)
{
  struct trial *t;
  size_t cursor = 0;

  while ((t = hash_next(&q->trials, &cursor))) {
    struct submission *s = t->submission;
    if (s->state != SUBMISSION_THROUGH) {
      continue;
    }
    if (only(s)) {
      submission_refuse(s, 451, "4.3.0 the relay is restarting, try again later");
    } else {
      submission_to_disk(s);
    }
    cursor = 0; /* the table has changed */
  }
}

int trial_put_states(struct submission *s, struct buf *b)
{
  const struct trial *t = s->trial;
  struct entry e;

  for (uint32_t i = 0; i < trial_rcpts(t); i++) {
    if (t->results[i]) {
      entry_of_result(&e, t->results[i]);
      if (entry_put(b, &e) == -1) {
        return -1;
      }
    }
  }
  return 0;
}

void trial_committing(struct submission *s)
{
  struct trial *t = s->trial;
  struct entry e;

  leave_table(t);
  for (uint32_t i = 0; i < trial_rcpts(t); i++) {
    if (t->results[i]) {
      entry_of_result(&e, t->results[i]);
      index_apply_entry(s->message, &e);
    }
  }
}

void trial_committed(struct submission *s, const struct settlement *settlement)
{
  struct trial *t = s->trial;

  for (uint32_t i = 0; i < trial_rcpts(t); i++) {
    /* One that has been told of since has a RESULT of its own, further on. */
    if (t->results[i] && s->message->rcpts[i].segment == 0) {
      index_set_location(s->message, i, settlement->segment, settlement->offset);
    }
  }
  tell(s->queue, t->serial, true);
  t->over = true;
}
