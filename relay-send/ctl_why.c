/* The sentence that says what holds a message. */
#include "ctl_why.h"

#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "job.h"
#include "lane.h"
#include "tenant.h"

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

static void failing(const struct lane *lane, char *out, size_t size)
{
  const char *site = lane->site->name;

  if (lane->last == TROUBLE_SOURCE) {
    snprintf(out, size, "it cannot leave: %.*s; this is looked at again from time to time, and at "
             "once when control/sources has been mended and read again (HUP)",
             CTL_QUOTED, lane->trouble->reply);
  } else if (lane->paused) {
    snprintf(out, size, "paused for %lld s more: %s thinks ill of our address: \"%.*s\"; then one "
             "message at a time tries again, and when it is answered all of its mail goes",
             seconds_until(lane->probe_at), site, CTL_QUOTED, lane->trouble->reply);
  } else {
    snprintf(out, size, "%s gives no connection (%u failure%s in a row): %.*s; one connection at a "
             "time tries again, and when it is greeted all of its mail goes",
             site, lane->failures, lane->failures == 1 ? "" : "s", CTL_QUOTED,
             lane->trouble->reply);
  }
}

static void rate(const struct lane *lane, char *out, size_t size)
{
  if (sched.now < lane->rate.hold) {
    snprintf(out, size, "rate: %s takes nothing for %lld s more, then %u messages a minute (learnt "
             "from \"%.*s\")",
             lane->site->name, seconds_until(lane->rate.hold), lane->rate.per_minute, CTL_QUOTED,
             said(lane, TROUBLE_RATE));
  } else {
    snprintf(out, size, "rate: %s takes %u messages a minute from us (learnt from \"%.*s\"); %u "
             "recipients of %u tenants wait for their turn",
             lane->site->name, lane->rate.per_minute, CTL_QUOTED, said(lane, TROUBLE_RATE),
             lane->ready, lane->tenants);
  }
}

/* All connections that the lane may have are in use: why has it no more? */
static void window(const struct lane *lane, char *out, size_t size)
{
  const struct window *w = &lane->window;
  const char *site = lane->site->name;

  if (lane->slow.on) {
    snprintf(out, size, "slow: %s is slow with its answers (%.*s), so it gets %u connections, and "
             "all are in use", site, CTL_QUOTED, said(lane, TROUBLE_SLOW), w->limit);
  } else if (w->ceiling > 0 && w->limit + 1 >= w->ceiling) {
    snprintf(out, size, "%s takes %u connections from us (learnt from \"%.*s\"); the %u that we "
             "use are busy; %u recipients of %u tenants wait for them in turn",
             site, w->ceiling, CTL_QUOTED, said(lane, TROUBLE_CEILING), w->limit, lane->ready,
             lane->tenants);
  } else {
    snprintf(out, size, "all %u connections that %s is given now are in use; %u recipients of %u "
             "tenants wait for them in turn", w->limit, site, lane->ready, lane->tenants);
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

static void ready(struct rcpt *r, char *out, size_t size)
{
  const struct lane *lane = r->flow->lane;
  unsigned others = before(r);

  if (!sched.told) {
    snprintf(out, size, "the queue is still being read");
  } else if (sched.paused) {
    snprintf(out, size, "all deliveries wait: the queue cannot write results (disk full?)");
  } else if (lane->failing) {
    failing(lane, out, size);
  } else if (r->flow->blocked) {
    snprintf(out, size, "tenant %s holds its share of all connections (%u of %llu; it may hold as "
             "many as are free)", r->flow->tenant->name, r->flow->tenant->active,
             (unsigned long long)sched.settings.workers);
  } else if (!rate_open(&lane->rate, sched.now)) {
    rate(lane, out, size);
  } else if (lane->active >= lane->window.limit || lane->full) {
    window(lane, out, size);
  } else if (jobs_active() >= sched.settings.workers) {
    snprintf(out, size, "all %llu workers are busy", (unsigned long long)sched.settings.workers);
  } else if (others == 0) {
    snprintf(out, size, "its turn is next");
  } else {
    snprintf(out, size, "it waits for its turn");
  }
  if (others > 0) {
    size_t used = strlen(out);
    snprintf(out + used, size - used, "; %u%s of its tenant before it", others,
             others == CTL_COUNTED_MAX ? " or more" : "");
  }
}

static void lookup(struct rcpt *r, char *out, size_t size)
{
  const struct domain *d = r->domain;

  if (d->state == DOMAIN_AGAIN && d->outcome->stage == STAGE_TLS) {
    snprintf(out, size, "no MX of %s does what control/tlspolicy demands (%u times): %s; it will be "
             "tried again", d->name, d->tls_failures, d->outcome->reply);
  } else if (d->state == DOMAIN_AGAIN) {
    snprintf(out, size, "DNS gives no answer for %s (%u times): %s; it will be asked again",
             d->name, d->failures, d->outcome->reply);
  } else if (d->token) {
    snprintf(out, size, "DNS has been asked where mail for %s goes", d->name);
  } else if (!sched.told) {
    snprintf(out, size, "the queue is still being read");
  } else {
    snprintf(out, size, "tenant %s has as many DNS questions open as it may",
             rcpt_message(r)->tenant->name);
  }
}

void ctl_why_text(struct rcpt *r, char *out, size_t size)
{
  char what[512];

  switch (r->where) {
  case RCPT_AT_READY:
    ready(r, out, size);
    break;
  case RCPT_AT_LOOKUP:
    lookup(r, out, size);
    break;
  case RCPT_AT_ACTIVE:
    snprintf(out, size, "it is being delivered over a connection to %s",
             r->domain->site ? r->domain->site->name : "");
    break;
  case RCPT_AT_WAITING:
    snprintf(out, size, "attempt %u failed for now; it waits for its next attempt", r->attempts);
    break;
  case RCPT_AT_HELD:
    hold_describe(r, what, sizeof what);
    snprintf(out, size, "an operator holds %s; relay-ctl release ends that",
             *what ? what : "it no longer, it goes in a moment");
    break;
  case RCPT_AT_COMMIT:
    snprintf(out, size, "its client waits; it is being written to the queue");
    break;
  case RCPT_AT_DUE:
    snprintf(out, size, "%s; a notice to the sender is due",
             r->relayed ? "it was relayed" : "it has failed");
    break;
  default:
    snprintf(out, size, "%s; a notice to the sender is being made",
             r->relayed ? "it was relayed" : "it has failed");
  }
}
