/* The rows of the answers to relay-ctl (ctl.h). */
#include "ctl_client.h"
#include "ctl_why.h"

#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "job.h"
#include "lane.h"
#include "memory.h"
#include "schedule.h"
#include "sources.h"
#include "tenant.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

#define CTL_TEXT_SIZE 2400 /* a reply and our words around it */

static void begin(struct ctl_client *c, const char *type)
{
  buf_reset(&c->b);
  if (netstring_put_str(&c->b, "r") == -1 || netstring_put_str(&c->b, type) == -1) {
    memory_out();
  }
}

static void put(struct ctl_client *c, const char *name, const char *value)
{
  if (netstring_put_str(&c->b, name) == -1 || netstring_put_str(&c->b, value) == -1) {
    memory_out();
  }
}

static void put_number(struct ctl_client *c, const char *name, int64_t value)
{
  char text[32];

  snprintf(text, sizeof text, "n%lld", (long long)value);
  put(c, name, text);
}

static void put_text(struct ctl_client *c, const char *name, const char *value)
{
  char text[CTL_TEXT_SIZE];

  text[0] = 's';
  snprintf(text + 1, sizeof text - 1, "%s", value);
  put(c, name, text);
}

static void put_bool(struct ctl_client *c, const char *name, bool value)
{
  put(c, name, value ? "b1" : "b0");
}

static void end(struct ctl_client *c)
{
  if (channel_send(&c->channel, c->b.data, c->b.len, -1) == -1) {
    memory_out();
  }
  c->rows++;
}

void ctl_answer(struct ctl_client *c, char kind, const char *format, ...)
{
  const char verb[2] = {kind, 0};
  char text[512];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  buf_reset(&c->b);
  if (netstring_put_str(&c->b, verb) == -1 || netstring_put_str(&c->b, text) == -1 ||
      channel_send(&c->channel, c->b.data, c->b.len, -1) == -1) {
    memory_out();
  }
}

void ctl_row_relay(struct ctl_client *c)
{
  uint64_t total = 0;

  for (int i = 0; i < RCPT_AT_END; i++) {
    total += sched.places[i];
  }
  begin(c, "relay");
  put_number(c, "messages", (int64_t)sched.messages);
  put_number(c, "recipients", (int64_t)total);
  /* As ctl_state() has it: what is ready at a lane that backs off waits. */
  put_number(c, "ready", (int64_t)(sched.places[RCPT_AT_READY] - sched.backing_off));
  put_number(c, "active", (int64_t)sched.places[RCPT_AT_ACTIVE]);
  put_number(c, "waiting",
             (int64_t)(sched.places[RCPT_AT_WAITING] + sched.places[RCPT_AT_LOOKUP] +
                       sched.places[RCPT_AT_COMMIT] + sched.backing_off));
  put_number(c, "held", (int64_t)sched.places[RCPT_AT_HELD]);
  put_number(c, "dsn_due", (int64_t)(sched.places[RCPT_AT_DUE] + sched.places[RCPT_AT_NOTICE]));
  put_number(c, "workers", workers_count());
  put_number(c, "workers_max", (int64_t)sched.settings.workers);
  put_number(c, "sites", (int64_t)sites.count);
  put_number(c, "tenants", (int64_t)tenants.count);
  put_number(c, "lookups", domain_lookups());
  put_number(c, "uptime_ms", sched.now - sched.started);
  put_number(c, "delivered", (int64_t)sched.delivered);
  put_number(c, "deferred", (int64_t)sched.deferred);
  put_number(c, "failed", (int64_t)sched.failed);
  put_bool(c, "paused", sched.paused);
  put_text(c, "old_settings", sched.old_settings);
  end(c);
}

/* name is hold_next()'s: a kind, and, but for all, a blank and a value. */
void ctl_row_hold(struct ctl_client *c, const char *name)
{
  size_t len = strcspn(name, " ");
  char kind[CTL_VERB_SIZE];

  snprintf(kind, sizeof kind, "%.*s", (int)len, name);
  begin(c, "hold");
  put_text(c, "kind", kind);
  put_text(c, "value", name[len] ? name + len + 1 : "");
  end(c);
}

/* states are by enum rcpt_where, but what is ready at a lane that backs off counts as waiting. */
void ctl_row_selected(struct ctl_client *c, uint64_t count, const uint64_t states[RCPT_PLACES])
{
  uint64_t total = 0;

  for (int i = 0; i < RCPT_AT_END; i++) {
    total += states[i];
  }
  begin(c, "selected");
  put_text(c, "kind", c->request.kind);
  put_text(c, "value", c->request.value);
  put_number(c, "messages", (int64_t)count);
  put_number(c, "recipients", (int64_t)total);
  put_number(c, "ready", (int64_t)states[RCPT_AT_READY]);
  put_number(c, "active", (int64_t)states[RCPT_AT_ACTIVE]);
  put_number(c, "waiting",
             (int64_t)(states[RCPT_AT_WAITING] + states[RCPT_AT_LOOKUP] + states[RCPT_AT_COMMIT]));
  put_number(c, "held", (int64_t)states[RCPT_AT_HELD]);
  put_number(c, "dsn_due", (int64_t)(states[RCPT_AT_DUE] + states[RCPT_AT_NOTICE]));
  end(c);
}

static const char *domain_kind(const struct domain *d)
{
  if (d->state == DOMAIN_AGAIN) {
    return d->outcome->stage == STAGE_TLS ? "tls" : "dns";
  }
  return d->state == DOMAIN_FAILED ? "failed" : "";
}

void ctl_row_domain(struct ctl_client *c, const struct domain *d, uint64_t recipients)
{
  const char *kind = domain_kind(d);
  bool again = d->state == DOMAIN_AGAIN;
  int64_t seconds_ago = (int64_t)sched_stamp() - d->failed_at;

  begin(c, "domain");
  put_text(c, "domain", d->name);
  put_text(c, "site", d->site ? d->site->name : "");
  put_text(c, "kind", kind);
  put_number(c, "recipients", (int64_t)recipients);
  put_number(c, "waiting", d->waiting_count);
  put_number(c, "failures", !again ? 0 : strcmp(kind, "tls") == 0 ? d->tls_failures : d->failures);
  put_text(c, "trouble", *kind ? d->outcome->reply : "");
  put_number(c, "trouble_ms", again ? sched.wall - seconds_ago * 1000 : 0);
  /* With a question under way the answer decides. */
  put_number(c, "retry_ms", again && !d->token ? sched.wall + (d->retry_at - sched.now) : 0);
  put_bool(c, "held", d->held);
  end(c);
}

void ctl_row_tenant(struct ctl_client *c, const struct tenant *t, uint64_t recipients)
{
  begin(c, "tenant");
  put_text(c, "tenant", t->name);
  put_number(c, "recipients", (int64_t)recipients);
  put_number(c, "active", t->sending);
  put_number(c, "workers", t->active);
  put_bool(c, "held", t->held);
  end(c);
}

void ctl_row_site(struct ctl_client *c, const struct lane *lane)
{
  begin(c, "site");
  put_text(c, "site", lane->site->name);
  put_text(c, "source", sources_name(lane->source));
  put_number(c, "window", lane->window.limit);
  put_number(c, "ceiling", lane->window.ceiling);
  put_number(c, "rate", lane->rate.per_minute);
  put_number(c, "open", lane->open);
  put_number(c, "idle", lane->idle_count);
  put_number(c, "active", lane->active);
  put_number(c, "waiting", lane->ready);
  put_number(c, "tenants", lane->tenants);
  put_text(c, "signal", ctl_why_signal(lane));
  put_text(c, "kind", trouble_name(lane->last));
  put_text(c, "trouble", lane->last ? lane->troubles[lane->last].reply : "");
  put_number(c, "trouble_ms", lane->last ? lane->troubles[lane->last].at : 0);
  put_number(c, "typical_ms", lane->typical_ms);
  put_number(c, "retry_ms", ctl_why_next(lane));
  put_bool(c, "held", lane->site->held);
  end(c);
}

const char *ctl_state(const struct rcpt *r)
{
  static const char *const names[RCPT_PLACES] = {"lookup", "ready", "active", "waiting", "held",
                                                 "dsn",    "dsn",   "commit", "ended"};

  return schedule_obstacle(r) ? "waiting" : names[r->where];
}

static const char *site_name(const struct rcpt *r)
{
  return r->domain->site ? r->domain->site->name : "";
}

/* Wall clock, 0: nothing is planned (its turn, an answer, an operator). */
static int64_t next_time(const struct rcpt *r)
{
  if (r->where == RCPT_AT_WAITING) {
    return sched.wall + ((int64_t)r->at - sched_stamp()) * 1000;
  }
  if (r->where == RCPT_AT_READY) {
    return ctl_why_next(r->flow->lane);
  }
  if (r->where == RCPT_AT_LOOKUP && r->domain->state == DOMAIN_AGAIN) {
    return sched.wall + (r->domain->retry_at - sched.now);
  }
  return 0;
}

void ctl_row_recipient(struct ctl_client *c, struct rcpt *r)
{
  struct message *m = rcpt_message(r);
  char id[ID_SIZE];

  message_id(m, id);
  begin(c, "recipient");
  put_text(c, "id", id);
  put_text(c, "tenant", m->tenant->name);
  put_text(c, "sender", message_sender(m));
  put_text(c, "recipient", rcpt_address(r));
  put_text(c, "site", site_name(r));
  put_text(c, "state", ctl_state(r));
  put_number(c, "attempts", r->attempts);
  put_number(c, "bytes", m->content_len);
  put_number(c, "arrival_ms", m->arrival);
  put_number(c, "next_ms", next_time(r));
  end(c);
}

void ctl_row_why(struct ctl_client *c, struct rcpt *r, const char *last)
{
  struct message *m = rcpt_message(r);
  const struct outcome *obstacle = schedule_obstacle(r);
  char id[ID_SIZE], reason[2048];

  message_id(m, id);
  ctl_why_text(r, reason, sizeof reason);
  begin(c, "why");
  put_text(c, "id", id);
  put_text(c, "recipient", rcpt_address(r));
  put_text(c, "tenant", m->tenant->name);
  put_text(c, "sender", message_sender(m));
  put_text(c, "site", site_name(r));
  put_text(c, "source", sources_name(m->source));
  put_text(c, "state", ctl_state(r));
  put_text(c, "reason", reason);
  put_number(c, "attempts", r->attempts);
  put_number(c, "arrival_ms", m->arrival);
  put_number(c, "next_ms", next_time(r));
  put_number(c, "expires_ms", schedule_expires(m));
  put_text(c, "last", obstacle ? obstacle->reply : last);
  end(c);
}
