#include "through.h"

#include "dispatch_client.h"
#include "domain.h"
#include "flow.h"
#include "hash.h"
#include "job.h"
#include "lane.h"
#include "memory.h"
#include "results.h"
#include "schedule.h"
#include "seqpacket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THROUGH_LOOK_MS 1000 /* how often one that may only wait looks for trouble */
#define THROUGH_TEXT_MAX 500 /* bytes: it becomes one line of a reply */

struct through {
  struct timer timer;
  uint64_t serial;
  struct message *message;
  struct list_node touched; /* in the list of those that through_turn() looks at */
  int64_t deadline, last;
  int64_t no_slot_since; /* 0: none of its recipients waits for a connection */
  uint32_t seconds;
  bool only;
  bool cancelled;
};

static struct hash by_serial;
static struct list_node touched;

static const void *key(const void *item, size_t *len)
{
  const struct through *t = item;

  *len = sizeof t->serial;
  return &t->serial;
}

static struct through *find(uint64_t serial)
{
  return hash_find(&by_serial, &serial, sizeof serial);
}

static void through_free(struct through *t)
{
  hash_remove(&by_serial, &t->serial, sizeof t->serial);
  list_unlink(&t->touched);
  timer_clear(&t->timer);
  free(t);
}

void through_begin(struct message *m, uint32_t through)
{
  struct through *t = memory_get(sizeof *t);

  t->serial = m->serial;
  t->message = m;
  t->only = through & ENVELOPE_THROUGH_ONLY;
  t->seconds = through & ~(uint32_t)ENVELOPE_THROUGH_ONLY;
  t->deadline = sched.now + (int64_t)t->seconds * 1000;
  t->last = sched.now + THROUGH_LAST_MS;
  timer_init(&t->timer, TIMER_THROUGH);
  list_head_init(&t->touched);
  if (hash_insert(&by_serial, t) == -1) {
    memory_out();
  }
  m->through = 1;
  list_link(&touched, &t->touched);
}

void through_touch(struct message *m)
{
  struct through *t = find(m->serial);

  if (t && list_head_empty(&t->touched)) {
    list_link(&touched, &t->touched);
  }
}

void through_forget(struct message *m)
{
  struct through *t = find(m->serial);

  if (t) {
    through_free(t);
  }
}

/* Nothing of it starts until C. What runs goes on. */
static void park(struct message *m)
{
  struct through *t = find(m->serial);

  m->parked = 1;
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    struct rcpt *r = &m->rcpts[i];
    if (r->where == RCPT_AT_READY || r->where == RCPT_AT_LOOKUP) {
      rcpt_detach(r);
      rcpt_place(r, RCPT_AT_COMMIT);
    }
  }
  timer_clear(&t->timer);
  list_unlink(&t->touched);
}

/* T */
static void give_up(struct through *t, const char *text, size_t len)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  results_flush(); /* what is known of it comes before it */
  if (netstring_put_str(&b, "T") == -1 || netstring_put_u64(&b, t->serial) == -1 ||
      netstring_put(&b, text, len) == -1) {
    memory_out();
  }
  dispatch_client_send(&b, -1);
  buf_free(&b);
  park(t->message);
}

void through_deferred(struct message *m)
{
  struct through *t = find(m->serial);

  if (t && !t->only && !m->parked) {
    park(m);
  }
}

/* Where the recipients of a message are, as far as it matters here. */
struct standing {
  const struct rcpt *stuck; /* cannot be tried now, and not for want of a connection */
  const struct rcpt *ready, *lookup, *active; /* one of each kind, NULL: none */
};

static struct standing look(struct message *m)
{
  struct standing s = {0};

  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    const struct rcpt *r = &m->rcpts[i];
    if (r->where == RCPT_AT_HELD || schedule_obstacle(r)) {
      s.stuck = r;
    } else if (r->where == RCPT_AT_READY) {
      s.ready = r;
    } else if (r->where == RCPT_AT_LOOKUP) {
      s.lookup = r;
    } else if (r->where == RCPT_AT_ACTIVE) {
      s.active = r;
    }
  }
  return s;
}

/* For who may not be queued: why not now. */
static void explain(const struct through *t, const struct standing *s, struct buf *text)
{
  const struct outcome *why = s->stuck ? schedule_obstacle(s->stuck) : NULL;
  int failed;

  if (why) {
    failed = buf_printf(text, "%s %s%s%s", why->status[0] == '4' ? why->status : "4.4.1",
                        why->code ? why->host : "", why->code ? " said: " : "", why->reply);
  } else if (s->stuck) {
    failed = buf_printf(text, "4.7.0 held by the operator of this relay");
  } else if (s->ready) {
    failed = buf_printf(text, "4.4.5 no connection to %s was free within %u seconds",
                        s->ready->flow->lane->site->name, t->seconds);
  } else if (s->lookup) {
    failed = buf_printf(text, "4.4.3 DNS did not say within %u seconds where mail for %s goes",
                        t->seconds, s->lookup->domain->name);
  } else {
    failed = buf_printf(text, "4.4.2 no answer to the final dot in time");
  }
  if (failed) {
    memory_out();
  }
  text->len = text->len < THROUGH_TEXT_MAX ? text->len : THROUGH_TEXT_MAX;
}

static void give_up_because(struct through *t, const struct standing *s)
{
  struct buf text = BUF_INIT(4096);

  explain(t, s, &text);
  give_up(t, text.data, text.len);
  buf_free(&text);
}

/* The submitter's seconds are over. */
static void expire(struct through *t, const struct standing *s)
{
  if (!t->only || !s->active || sched.now >= t->last) {
    give_up_because(t, s);
    return;
  }
  if (s->active->job->cancelled) {
    return;
  }
  struct message *m = t->message;
  t->cancelled = true;
  timer_set(&t->timer, t->last);
  m->notice_open = 1; /* keeps it, should this end its only recipient */
  job_cancel(s->active->job);
  m->notice_open = 0;
  if (m->live == 0) {
    message_release(m);
    return;
  }
  struct standing after = look(m);
  if (!after.active) {
    give_up_because(t, &after); /* nothing had been sent: it would be started again */
  }
}

/*
 * Is a connection of this lane likely to be free in a moment? Where transactions
 * take long, or many wait before this one, waiting only holds the submitter up.
 */
static bool slot_soon(const struct rcpt *r)
{
  const struct lane *lane = r->flow->lane;
  uint64_t window = lane->window.limit ? lane->window.limit : 1;

  return !r->flow->blocked && rate_open(&lane->rate, sched.now) &&
         (uint64_t)lane->typical_ms * (1 + lane->ready / window) <= THROUGH_SLOT_MS;
}

static void tick(struct through *t)
{
  struct standing s = look(t->message);
  int64_t next = t->cancelled ? t->last : t->deadline;

  if (s.stuck) {
    give_up_because(t, &s);
    return;
  }
  if (sched.now >= t->deadline) {
    expire(t, &s);
    return;
  }
  if (!s.ready) {
    t->no_slot_since = 0;
  } else if (t->no_slot_since == 0) {
    t->no_slot_since = sched.now;
  }
  if (s.ready && !t->only &&
      (sched.now - t->no_slot_since >= THROUGH_SLOT_MS || !slot_soon(s.ready))) {
    give_up_because(t, &s);
    return;
  }
  if (s.ready || s.lookup) {
    int64_t soon = sched.now + (t->only ? THROUGH_LOOK_MS : THROUGH_SLOT_MS);
    next = soon < next ? soon : next;
  }
  timer_set(&t->timer, next);
}

static void expired(struct timer *timer)
{
  tick(LIST_ITEM(timer, struct through, timer));
}

void through_start(void)
{
  hash_init(&by_serial, key);
  list_head_init(&touched);
  timer_handler(TIMER_THROUGH, expired);
}

void through_turn(void)
{
  while (!list_head_empty(&touched)) {
    struct through *t = LIST_ITEM(touched.next, struct through, touched);
    list_unlink(&t->touched);
    tick(t);
  }
}

/* A message like any other from here on. */
static void committed(struct message *m)
{
  m->through = m->parked = 0;
  m->notice_open = 1; /* one that fails at once must not take the message away */
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    struct rcpt *r = &m->rcpts[i];
    if (r->where == RCPT_AT_COMMIT) {
      schedule_now(r, false);
    } else if (r->where == RCPT_AT_DUE && m->pending == 0) {
      timer_set(&r->timer, sched.now);
    }
  }
  m->notice_open = 0;
  message_release(m);
}

/* The submitter has it: nothing of it is to be done or told any more. */
static void gone(struct message *m)
{
  m->through = 0;
  m->gone = 1;
  m->notice_open = 1;
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    struct rcpt *r = &m->rcpts[i];
    if (r->where == RCPT_AT_ACTIVE) {
      job_cancel(r->job);
    } else if (r->where != RCPT_AT_END) {
      rcpt_detach(r);
      rcpt_end(r);
    }
  }
  m->notice_open = 0;
  message_release(m);
}

void through_answer(uint64_t serial, bool durable)
{
  struct through *t = find(serial);

  if (!t) {
    return; /* all of its recipients have ended meanwhile */
  }
  struct message *m = t->message;
  through_free(t);
  if (durable) {
    committed(m);
  } else {
    gone(m);
  }
}

/*
 * Its one recipient's final dot may be out: what the MX answers is the
 * submitter's, and is waited for as long as any dot is. If it does not come,
 * relay-queue refuses the message when relay-send has ended.
 */
static bool waits_for_dot(struct through *t)
{
  struct standing s = look(t->message);

  return t->only && s.active && s.active->job->sent &&
         (s.active->job->dot || s.active->job->one_piece);
}

void through_stop(void)
{
  static const char text[] = "4.3.2 the relay is restarting, try again later";
  struct through *t;
  size_t cursor = 0;

  while ((t = hash_next(&by_serial, &cursor))) {
    if (!t->message->parked && !waits_for_dot(t)) {
      give_up(t, text, sizeof text - 1);
    }
  }
}
