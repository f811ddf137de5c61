#include "results.h"

#include "clock.h"
#include "dispatch_client.h"
#include "memory.h"
#include "notice.h"
#include "schedule.h"
#include "seqpacket.h"
#include "through.h"

#include <stdio.h>
#include <string.h>

#define RESULT_ROOM 2048 /* a dispatch_result at its longest, with room */

static struct buf pending = {.max = SEQPACKET_MAX};
static uint64_t pending_serial;

void results_flush(void)
{
  if (pending.len > 0) {
    dispatch_client_send(&pending, -1);
    buf_reset(&pending);
  }
}

static void put(const struct message *m, const struct dispatch_result *result)
{
  if (pending.len > 0 &&
      (pending_serial != m->serial || pending.len + RESULT_ROOM > SEQPACKET_MAX)) {
    results_flush();
  }
  if (pending.len == 0) {
    pending_serial = m->serial;
    if (netstring_put_str(&pending, "R") == -1 || netstring_put_u64(&pending, m->serial) == -1) {
      memory_out();
    }
  }
  if (dispatch_put_result(&pending, result) == -1) {
    memory_out();
  }
}

bool results_failure_wanted(struct rcpt *r)
{
  const struct message *m = rcpt_message(r);

  if (!*message_sender(m)) {
    return sched.settings.double_bounces && !(m->flags & ENVELOPE_DOUBLE);
  }
  return r->notify == 0 || (r->notify & ENVELOPE_NOTIFY_FAILURE);
}

static void deferred(struct rcpt *r, struct dispatch_result *result)
{
  struct message *m = rcpt_message(r);
  int64_t expires = schedule_expires(m);

  sched.deferred++;
  r->tried = 1;
  result->next = sched.wall + settings_retry_ms(&sched.settings, r->attempts, sched_random());
  if (result->next > expires) {
    result->next = expires; /* the last attempt */
  }
  put(m, result);
  schedule_at(r, result->next);
  if (m->through) {
    through_deferred(m);
  } else if (schedule_delay_wanted(r) && sched.wall >= schedule_delay_at(m)) {
    notice_delay(r);
  }
}

/* RFC 3463 4.7 of a temporary failure, made permanent by time: 5.4.7. */
static void expire(struct dispatch_result *result)
{
  struct outcome *o = &result->outcome;
  char last[sizeof o->reply], span[CLOCK_SPAN_SIZE];

  memcpy(last, o->reply, sizeof last);
  clock_format_span(sched.settings.lifetime, span);
  snprintf(o->reply, sizeof o->reply, "not delivered for %s; last: ", span);
  size_t used = strlen(o->reply);
  snprintf(o->reply + used, sizeof o->reply - used, "%s", last);
  o->verdict = VERDICT_FAILED;
  o->code = 0;
  strcpy(o->status, "5.4.7");
}

static void due(struct rcpt *r, bool relayed)
{
  r->relayed = relayed;
  rcpt_place(r, RCPT_AT_DUE);
  timer_set(&r->timer, sched.now + NOTICE_COLLECT_MS);
  notice_settled(r);
}

static void ended(struct rcpt *r, struct dispatch_result *result, bool relayed)
{
  struct message *m = rcpt_message(r);

  if (result->outcome.verdict == VERDICT_DELIVERED) {
    sched.delivered++;
    result->dsn_due = relayed && (r->notify & ENVELOPE_NOTIFY_SUCCESS) && *message_sender(m);
  } else if (result->outcome.verdict == VERDICT_FAILED) {
    sched.failed++;
    result->dsn_due = results_failure_wanted(r);
    if (!result->dsn_due) {
      char id[ID_SIZE];
      message_id(m, id);
      loglines_printf(&sched.log, '=', "discard id=%s rcpt=%u reason=\"no notice is wanted\"", id,
                      r->index);
    }
  }
  put(m, result);
  if (result->dsn_due) {
    due(r, result->outcome.verdict == VERDICT_DELIVERED);
  } else {
    notice_settled(r);
    rcpt_end(r);
  }
}

void results_take(struct rcpt *r, const struct outcome *outcome, bool relayed)
{
  struct dispatch_result result = {.outcome = *outcome};

  if (rcpt_message(r)->gone) {
    rcpt_end(r); /* its submitter keeps the message: nobody asks what became of it here */
    return;
  }
  if (outcome->stage != STAGE_NONE || outcome->verdict == VERDICT_DEFERRED) {
    r->attempts += r->attempts < UINT16_MAX;
  }
  r->told = 1;
  result.outcome.rcpt = r->index;
  result.attempts = r->attempts;
  if (outcome->verdict == VERDICT_DEFERRED && sched.wall >= schedule_expires(rcpt_message(r))) {
    expire(&result);
  }
  if (result.outcome.verdict == VERDICT_DEFERRED) {
    deferred(r, &result);
  } else {
    ended(r, &result, relayed);
  }
}

void results_local(struct rcpt *r, const struct outcome *outcome)
{
  results_take(r, outcome, false);
}

void results_note(struct rcpt *r, const struct outcome *outcome)
{
  struct dispatch_result result = {.outcome = *outcome, .attempts = r->attempts};

  result.outcome.rcpt = r->index;
  result.outcome.verdict = VERDICT_DEFERRED;
  result.next = sched.wall;
  r->told = 1;
  put(rcpt_message(r), &result);
}
