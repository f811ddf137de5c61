/* The sentence that says what holds a message. */
#include "ctl_why.h"

#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "job.h"
#include "lane.h"
#include "tenant.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CTL_COUNTED_MAX 100000 /* recipients before this one */
#define CTL_QUOTED 300         /* bytes of a reply in a sentence */

const char *ctl_why_signal(const struct lane *lane)
{
  if (lane->failing) {
    return lane->last == TROUBLE_SOURCE ? "source" : lane->paused ? "paused" : "down";
  }
  if (!rate_open(&lane->rate, sched.now)) {
    return "rate";
  }
  if (lane->ready == 0 || (lane->active < lane->window.limit && !lane->full)) {
    return "";
  }
  if (lane->slow.on) {
    return "slow";
  }
  return lane->window.ceiling > 0 ? "ceiling" : "window";
}

int64_t ctl_why_next(const struct lane *lane)
{
  if (lane->failing) {
    return sched.wall + (lane->probe_at - sched.now);
  }
  if (lane->ready > 0 && !rate_open(&lane->rate, sched.now)) {
    return sched.wall + (rate_next(&lane->rate, sched.now) - sched.now);
  }
  return 0;
}

static long long seconds_until(int64_t when)
{
  return when > sched.now ? (long long)(when - sched.now + 999) / 1000 : 0;
}

static const char *said(const struct lane *lane, enum trouble kind)
{
  return lane->troubles[kind].reply ? lane->troubles[kind].reply : "";
}

/* Nothing is said twice, and what is said first matters most. */
struct sentence {
  char *text;
  size_t size, used;
};

static void say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One cause; the next ones stand behind it, as they bind as well. */
static void say(struct sentence *s, const char *format, ...)
{
  va_list ap;
  int n = 0;

  if (s->used > 0 && s->used + 8 < s->size) {
    s->used += (size_t)snprintf(s->text + s->used, s->size - s->used, "; also: ");
  }
  if (s->used + 1 < s->size) {
    va_start(ap, format);
    n = vsnprintf(s->text + s->used, s->size - s->used, format, ap);
    va_end(ap);
  }
  s->used += n > 0 ? (size_t)n : 0;
  s->used = s->used < s->size ? s->used : s->size - 1;
}

static void failing(const struct lane *lane, struct sentence *s)
{
  const char *site = lane->site->name;

  if (lane->last == TROUBLE_SOURCE) {
    say(s,
        "it cannot leave: %.*s; this is looked at again from time to time, and at once when "
        "control/sources has been mended and read again (HUP)",
        CTL_QUOTED, lane->trouble->reply);
  } else if (lane->paused) {
    say(s,
        "paused for %lld s more: %s thinks ill of our address: \"%.*s\"; then one message at a "
        "time tries again, and when it is answered all of its mail goes",
        seconds_until(lane->probe_at), site, CTL_QUOTED, lane->trouble->reply);
  } else {
    say(s,
        "%s gives no connection (%u failure%s in a row): %.*s; one connection at a time tries "
        "again, and when it is greeted all of its mail goes",
        site, lane->failures, lane->failures == 1 ? "" : "s", CTL_QUOTED, lane->trouble->reply);
  }
}

static void rate(const struct lane *lane, struct sentence *s)
{
  if (sched.now < lane->rate.hold) {
    say(s,
        "rate: %s takes nothing for %lld s more, then %u messages a minute (learnt from "
        "\"%.*s\")",
        lane->site->name, seconds_until(lane->rate.hold), lane->rate.per_minute, CTL_QUOTED,
        said(lane, TROUBLE_RATE));
  } else {
    say(s,
        "rate: %s takes %u messages a minute from us (learnt from \"%.*s\"); %u recipients of %u "
        "tenants wait for their turn",
        lane->site->name, lane->rate.per_minute, CTL_QUOTED, said(lane, TROUBLE_RATE), lane->ready,
        lane->tenants);
  }
}

/* All connections that the lane may have are in use: why has it no more? */
static void window(const struct lane *lane, struct sentence *s)
{
  const struct window *w = &lane->window;
  const char *site = lane->site->name;

  if (lane->slow.on) {
    say(s,
        "slow: %s is slow with its answers (%.*s), so it gets %u connections, and all are in use",
        site, CTL_QUOTED, said(lane, TROUBLE_SLOW), w->limit);
  } else if (w->ceiling > 0 && w->limit + 1 >= w->ceiling) {
    say(s,
        "%s takes %u connections from us (learnt from \"%.*s\"); the %u that we use are busy; %u "
        "recipients of %u tenants wait for them in turn",
        site, w->ceiling, CTL_QUOTED, said(lane, TROUBLE_CEILING), w->limit, lane->ready,
        lane->tenants);
  } else {
    say(s,
        "all %u connections that %s is given now are in use; %u recipients of %u tenants wait for "
        "them in turn",
        w->limit, site, lane->ready, lane->tenants);
  }
}

/* What of the lane would keep anybody waiting. */
static void lane_causes(const struct lane *lane, struct sentence *s)
{
  if (lane->failing) {
    failing(lane, s);
  }
  if (!rate_open(&lane->rate, sched.now)) {
    rate(lane, s);
  }
  if (!lane->failing && (lane->active >= lane->window.limit || lane->full)) {
    window(lane, s);
  }
}

/* What keeps everybody waiting. */
static void relay_causes(struct sentence *s)
{
  if (sched.paused) {
    say(s, "all deliveries wait: the queue cannot write results (disk full?)");
  }
  if (jobs_active() >= sched.settings.workers) {
    say(s, "all %llu workers are busy", (unsigned long long)sched.settings.workers);
  }
}

/* Ready recipients of its tenant that stand before it in its lane. */
static unsigned before(struct rcpt *r)
{
  unsigned n = 0;

  for (const struct flow_queue *q = r->flow->highest; q && n < CTL_COUNTED_MAX; q = q->lower) {
    for (struct list_node *node = q->rcpts.next; node != &q->rcpts && n < CTL_COUNTED_MAX;
         node = node->next) {
      if (node == &r->link) {
        return n;
      }
      n++;
    }
  }
  return n;
}

static void ready(struct rcpt *r, struct sentence *s)
{
  const struct flow *flow = r->flow;
  unsigned others = before(r);

  if (!sched.told) {
    say(s, "the queue is still being read");
    return;
  }
  lane_causes(flow->lane, s);
  if (flow->blocked) {
    say(s,
        "tenant %s holds its share of all connections (%u of %llu; it may hold as many as are "
        "free)",
        flow->tenant->name, flow->tenant->active, (unsigned long long)sched.settings.workers);
  }
  relay_causes(s);
  if (s->used == 0) {
    say(s, "%s", others == 0 ? "its turn is next" : "it waits for its turn");
  }
  if (others > 0) {
    s->used +=
      (size_t)snprintf(s->text + s->used, s->size - s->used, "; %u%s of its tenant before it",
                       others, others == CTL_COUNTED_MAX ? " or more" : "");
  }
}

/* DNS, or the demands of control/tlspolicy. */
static void domain_cause(const struct domain *d, struct sentence *s)
{
  if (d->state != DOMAIN_AGAIN) {
    return;
  }
  if (d->outcome->stage == STAGE_TLS) {
    say(s, "no MX of %s does what control/tlspolicy demands (%u times): %s; it will be tried again",
        d->name, d->tls_failures, d->outcome->reply);
  } else {
    say(s, "DNS gives no answer for %s (%u times): %s; it will be asked again", d->name,
        d->failures, d->outcome->reply);
  }
}

static void lookup(struct rcpt *r, struct sentence *s)
{
  const struct domain *d = r->domain;

  domain_cause(d, s);
  if (s->used > 0) {
    return;
  }
  if (d->token) {
    say(s, "DNS has been asked where mail for %s goes", d->name);
  } else if (!sched.told) {
    say(s, "the queue is still being read");
  } else {
    say(s, "tenant %s has as many DNS questions open as it may", rcpt_message(r)->tenant->name);
  }
}

static void held(const struct rcpt *r, struct sentence *s)
{
  char what[1024];
  unsigned holds = hold_describe(r, what, sizeof what);

  if (holds == 0) {
    say(s, "an operator holds it no longer, it goes in a moment");
  } else {
    say(s, "an operator holds %s; relay-ctl release ends that%s", what,
        holds > 1 ? ", of each by itself" : "");
  }
}

/* Held, or between two attempts: what would keep it waiting after that? */
static void other_causes(struct rcpt *r, struct sentence *s)
{
  struct domain *d = r->domain;
  struct lane *lane = d->site ? lane_find(d->site, rcpt_message(r)->source) : NULL;

  domain_cause(d, s);
  if (lane) {
    lane_causes(lane, s);
  }
  relay_causes(s);
}

void ctl_why_text(struct rcpt *r, char *out, size_t size)
{
  struct sentence s = {.text = out, .size = size};

  *out = '\0';
  switch (r->where) {
  case RCPT_AT_READY:
    ready(r, &s);
    break;
  case RCPT_AT_LOOKUP:
    lookup(r, &s);
    break;
  case RCPT_AT_ACTIVE:
    say(&s, "it is being delivered over a connection to %s",
        r->domain->site ? r->domain->site->name : "");
    break;
  case RCPT_AT_WAITING:
    say(&s, "attempt %u failed for now; it waits for its next attempt", r->attempts);
    other_causes(r, &s);
    break;
  case RCPT_AT_HELD:
    held(r, &s);
    other_causes(r, &s);
    break;
  case RCPT_AT_COMMIT:
    say(&s, "its client waits; it is being written to the queue");
    break;
  case RCPT_AT_DUE:
    say(&s, "%s; a notice to the sender is due", r->relayed ? "it was relayed" : "it has failed");
    break;
  default:
    say(&s, "%s; a notice to the sender is being made",
        r->relayed ? "it was relayed" : "it has failed");
  }
}
