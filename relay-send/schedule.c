#include "schedule.h"

#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "lane.h"
#include "notice.h"
#include "results.h"
#include "tenant.h"
#include "through.h"

#include <stdio.h>

#define SCHEDULE_LOOK_MS                                                                           \
  300000                    /* an overdue recipient that cannot be ended yet is looked at again */
#define SCHEDULE_FULL_MS 50 /* while relay-queue's channel is full */
#define SCHEDULE_DUE_SPREAD_MS 5000

/* What the timer of a waiting recipient is about (timer.mark). */
enum { WAITS_FOR_ATTEMPT, WAITS_FOR_DELAY };

int64_t schedule_expires(const struct message *m)
{
  return m->arrival + (int64_t)sched.settings.lifetime * 1000;
}

int64_t schedule_delay_at(const struct message *m)
{
  return m->arrival + (int64_t)sched.settings.delaywarn * 1000;
}

bool schedule_delay_wanted(struct rcpt *r)
{
  /* RFC 3461 4.1: without NOTIFY a delay may be told; nobody is told for <>. */
  return sched.settings.delaywarn > 0 && !r->delay_told &&
         (r->notify == 0 || (r->notify & ENVELOPE_NOTIFY_DELAY)) &&
         *message_sender(rcpt_message(r));
}

static int64_t monotonic(int64_t wall)
{
  return wall > sched.wall ? sched.now + (wall - sched.wall) : sched.now;
}

/* Ready or at lookup: when to look whether it is overdue. */
static void watch(struct rcpt *r)
{
  const struct message *m = rcpt_message(r);
  int64_t when = schedule_expires(m);

  if (schedule_delay_wanted(r) && schedule_delay_at(m) < when) {
    when = schedule_delay_at(m);
  }
  if (when <= sched.wall) {
    when = sched.wall + SCHEDULE_LOOK_MS;
  }
  timer_set(&r->timer, monotonic(when));
}

static void ready(struct rcpt *r, bool first)
{
  struct domain *d = r->domain;

  if (d->expires <= sched.now && sched.now >= d->retry_at) {
    domain_ask(d, rcpt_message(r)->tenant);
  }
  flow_add(lane_get(d->site, rcpt_message(r)->source), r, first);
}

void schedule_now(struct rcpt *r, bool first)
{
  struct domain *d = r->domain;
  struct message *m = rcpt_message(r);

  if (m->gone) {
    rcpt_end(r);
    return;
  }
  if (m->through) {
    through_touch(m);
  }
  if (m->parked || hold_covers(r)) {
    rcpt_place(r, m->parked ? RCPT_AT_COMMIT : RCPT_AT_HELD);
    return;
  }
  r->at = sched_stamp();
  if (d->state == DOMAIN_FAILED && d->expires > sched.now && !sched.stopping) {
    results_local(r, d->outcome);
    return;
  }
  watch(r);
  if (d->state == DOMAIN_OK) {
    ready(r, first);
  } else {
    domain_wait(d, r);
  }
}

void schedule_at(struct rcpt *r, int64_t wall)
{
  const struct message *m = rcpt_message(r);
  int64_t when = wall;

  if (hold_covers(r)) {
    rcpt_place(r, RCPT_AT_HELD);
    return;
  }
  r->at = sched_stamp() + (uint32_t)((wall > sched.wall ? wall - sched.wall + 999 : 0) / 1000);
  r->timer.mark = WAITS_FOR_ATTEMPT;
  if (schedule_delay_wanted(r) && schedule_delay_at(m) > sched.wall &&
      schedule_delay_at(m) < when) {
    when = schedule_delay_at(m);
    r->timer.mark = WAITS_FOR_DELAY;
  }
  timer_set(&r->timer, monotonic(when));
  rcpt_place(r, RCPT_AT_WAITING);
}

void schedule_told(struct rcpt *r, const struct dispatch_rcpt *told)
{
  if (told->state != RCPT_PENDING) {
    /* Its DSN was not made before the restart. Spread, so that others of it can come along. */
    rcpt_message(r)->pending--;
    r->relayed = told->state == RCPT_RELAYED_DUE;
    rcpt_place(r, RCPT_AT_DUE);
    timer_set(&r->timer, sched.now + 1000 + sched_random() % SCHEDULE_DUE_SPREAD_MS);
  } else if (told->next > sched.wall) {
    schedule_at(r, told->next);
  } else {
    schedule_now(r, false);
  }
}

void schedule_retry(struct rcpt *r)
{
  struct domain *d = r->domain;

  switch (r->where) {
  case RCPT_AT_LOOKUP:
    domain_retry(d);
    break;
  case RCPT_AT_READY:
    lane_retry(r->flow->lane);
    break;
  case RCPT_AT_WAITING:
    timer_clear(&r->timer);
    if (d->state != DOMAIN_OK) {
      domain_retry(d);
    } else {
      lane_retry(lane_get(d->site, rcpt_message(r)->source));
    }
    schedule_now(r, false);
    break;
  default:
    break;
  }
}

const struct outcome *schedule_obstacle(const struct rcpt *r)
{
  if (r->where == RCPT_AT_READY) {
    const struct lane *lane = r->flow->lane;
    return lane->failing && lane->trouble ? lane->trouble : NULL;
  }
  if (r->where == RCPT_AT_LOOKUP) {
    const struct domain *d = r->domain;
    return d->state == DOMAIN_AGAIN ? d->outcome : NULL;
  }
  return NULL;
}

/* Has that failed since the recipient is where it is? Only that may end it. */
static bool failed_since(const struct rcpt *r)
{
  uint32_t failed_at = r->where == RCPT_AT_READY ? r->flow->lane->failed_at : r->domain->failed_at;

  return failed_at >= r->at;
}

/*
 * Nothing has failed; it has waited for its turn all the time, because of a rate, a ceiling, a
 * flood. For its sender that is a delay like any other (RFC 3461 4.1, 5.2.8). False: it is not so.
 */
static bool waits_for_turn(const struct rcpt *r, struct outcome *o)
{
  const struct lane *lane = r->where == RCPT_AT_READY ? r->flow->lane : NULL;

  if (!lane || lane->failing || !sched_may_start()) {
    return false;
  }
  /* RFC 3463 3.5: X.4.5, mail system congestion. */
  *o = (struct outcome){.verdict = VERDICT_DEFERRED, .stage = STAGE_NONE, .status = "4.4.5"};
  if (!rate_open(&lane->rate, sched.now) && lane->troubles[TROUBLE_RATE].reply) {
    snprintf(o->reply, sizeof o->reply,
             "it waits for its turn: %s takes %u messages a minute from this "
             "relay, and has said: %.300s",
             lane->site->name, lane->rate.per_minute, lane->troubles[TROUBLE_RATE].reply);
  } else {
    snprintf(o->reply, sizeof o->reply, "it waits for its turn at %s", lane->site->name);
  }
  return true;
}

/*
 * Why it is late, so that the delay DSN has something to say; nothing if an outcome says it. Nor
 * of a message of through: its client waits and knows, and would have this for its verdict.
 */
static void note_delay(struct rcpt *r)
{
  const struct outcome *why = schedule_obstacle(r);
  struct outcome turn;

  if (r->told || rcpt_message(r)->through || !schedule_delay_wanted(r)) {
    return;
  }
  if (why && failed_since(r)) {
    results_note(r, why);
  } else if (!why && waits_for_turn(r, &turn)) {
    results_note(r, &turn);
  }
}

/* One notice for all recipients of the message that are late. */
static void tell_delay(struct message *m, struct rcpt *r)
{
  for (uint16_t i = 0; i < m->rcpt_count; i++) {
    if (m->rcpts[i].where == RCPT_AT_READY || m->rcpts[i].where == RCPT_AT_LOOKUP) {
      note_delay(&m->rcpts[i]);
    }
  }
  if (r->told) {
    notice_delay(r);
  }
}

/* A ready one, or one at lookup, is overdue for a delay DSN or for its end. */
static void overdue(struct rcpt *r)
{
  const struct outcome *why = schedule_obstacle(r);
  struct message *m = rcpt_message(r);

  if (why && failed_since(r) && sched.wall >= schedule_expires(m)) {
    struct outcome o = *why;
    rcpt_detach(r);
    results_local(r, &o);
    return;
  }
  if (schedule_delay_wanted(r) && sched.wall >= schedule_delay_at(m)) {
    tell_delay(m, r);
  }
  watch(r);
}

static void expired(struct timer *timer)
{
  struct rcpt *r = LIST_ITEM(timer, struct rcpt, timer);

  if (sched_results_full()) {
    timer_set(&r->timer, sched.now + SCHEDULE_FULL_MS);
    return;
  }
  switch (r->where) {
  case RCPT_AT_WAITING:
    if (r->timer.mark == WAITS_FOR_ATTEMPT || r->at <= sched_stamp()) {
      schedule_now(r, false);
      return;
    }
    if (r->tried || r->told) {
      notice_delay(r);
    }
    r->timer.mark = WAITS_FOR_ATTEMPT;
    timer_set(&r->timer, sched.now + (int64_t)(r->at - sched_stamp()) * 1000);
    break;
  case RCPT_AT_READY:
  case RCPT_AT_LOOKUP:
    overdue(r);
    break;
  case RCPT_AT_DUE:
    notice_due(r);
    break;
  default:
    break;
  }
}

void schedule_start(void)
{
  timer_handler(TIMER_RCPT, expired);
}
