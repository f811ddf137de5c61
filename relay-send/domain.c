#include "domain.h"

#include "hash.h"
#include "hold.h"
#include "lane.h"
#include "lookup.h"
#include "memory.h"
#include "schedule.h"
#include "tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_TTL_MIN 60      /* seconds */
#define DOMAIN_TTL_MAX 86400
#define DOMAIN_NEGATIVE_MAX 3600
#define DOMAIN_STALE_MS 3600000 /* how long a route is used when DNS no longer answers */
#define DOMAIN_FLUSH_MAX 1000   /* recipients sent on in a turn */
#define DOMAIN_FLUSH_MS 20      /* until a flush that stopped for a full channel goes on */

struct list domains;
static struct hash by_name;

static const void *key(const void *item, size_t *len)
{
  const struct domain *d = item;

  *len = strlen(d->name);
  return d->name;
}

static void domain_free(struct domain *d)
{
  lookup_forget(d);
  timer_clear(&d->timer);
  list_remove(&domains, &d->all);
  hash_remove(&by_name, d->name, strlen(d->name));
  if (d->site) {
    site_release(d->site);
  }
  route_free(d->route);
  free(d->outcome);
  free(d);
}

/* Sends the waiting ones on, a part a turn, as far as relay-queue's channel takes what comes of it. */
static void flush(struct domain *d)
{
  /* Counted first: schedule_now() may bring one back here. */
  uint32_t most = d->waiting_count < DOMAIN_FLUSH_MAX ? d->waiting_count : DOMAIN_FLUSH_MAX;

  d->users++;
  for (uint32_t n = 0; n < most && !sched_results_full(); n++) {
    struct rcpt *r = LIST_ITEM(d->waiting.next, struct rcpt, link);
    domain_leave(r);
    timer_clear(&r->timer);
    schedule_now(r, false);
  }
  if (d->waiting_count > 0) {
    /* Not now: timer_run() of this turn would come back at once. */
    timer_set(&d->timer, sched.now + (sched_results_full() || sched.stopping ? DOMAIN_FLUSH_MS : 1));
  }
  domain_release(d);
}

static void expired(struct timer *timer)
{
  struct domain *d = LIST_ITEM(timer, struct domain, timer);

  if (d->users == 0 && !d->token) {
    domain_free(d);
  } else if (d->waiting_count > 0 &&
             (d->state == DOMAIN_OK || (d->state == DOMAIN_FAILED && d->expires > sched.now))) {
    flush(d);
  } else if (d->waiting_count > 0) {
    domain_ask(d, rcpt_message(LIST_ITEM(d->waiting.next, struct rcpt, link))->tenant);
  } else if (d->token) {
    timer_set(&d->timer, sched.now + DOMAIN_TTL_MIN * 1000);
  }
}

void domain_start(void)
{
  list_init(&domains);
  hash_init(&by_name, key);
  timer_handler(TIMER_DOMAIN, expired);
}

struct domain *domain_find(const char *name)
{
  return hash_find(&by_name, name, strlen(name));
}

struct domain *domain_get(const char *destination, const char *address)
{
  const char *name = *destination ? destination : address_domain(address);
  struct domain *d;

  name = name ? name : sched.settings.me; /* relay-smtpd lets nothing without @ through */
  d = domain_find(name);
  if (!d) {
    d = memory_get(sizeof *d + strlen(name) + 1);
    strcpy(d->name, name);
    timer_init(&d->timer, TIMER_DOMAIN);
    list_head_init(&d->waiting);
    list_head_init(&d->unasked);
    d->held = hold_is("domain", name);
    if (hash_insert(&by_name, d) == -1) {
      memory_out();
    }
    list_append(&domains, &d->all);
  }
  d->users++;
  return d;
}

void domain_release(struct domain *d)
{
  if (--d->users > 0) {
    return;
  }
  if (d->state == DOMAIN_UNKNOWN && !d->token) {
    domain_free(d);
  } else if (d->state == DOMAIN_AGAIN || d->expires <= sched.now) {
    timer_set(&d->timer, sched.now + DOMAIN_TTL_MIN * 1000);
  } else {
    timer_set(&d->timer, d->expires);
  }
}

void domain_wait(struct domain *d, struct rcpt *r)
{
  list_link(&d->waiting, &r->link);
  d->waiting_count++;
  rcpt_place(r, RCPT_AT_LOOKUP);
  if (d->state != DOMAIN_AGAIN || sched.now >= d->retry_at) {
    domain_ask(d, rcpt_message(r)->tenant);
  }
}

void domain_leave(struct rcpt *r)
{
  list_unlink(&r->link);
  r->domain->waiting_count--;
}

void domain_retry(struct domain *d)
{
  if (d->state == DOMAIN_AGAIN || d->state == DOMAIN_FAILED) {
    d->retry_at = d->expires = sched.now;
    if (d->users > 0 && d->waiting_count > 0) {
      timer_set(&d->timer, sched.now);
    }
  }
}

static bool same_name(const char *a, const char *b)
{
  return a == b || (a && b && strcmp(a, b) == 0);
}

/* Do the new settings lead its mail elsewhere, or make another site of where it goes? */
static bool moved(const struct domain *d, const struct settings *old)
{
  const struct route *route = d->route;
  struct route_plan was, is;

  route_plan(&old->smtproutes, d->name, &was);
  route_plan(&sched.settings.smtproutes, d->name, &is);
  if (was.kind != is.kind || was.port != is.port || strcmp(was.name, is.name) != 0) {
    return true;
  }
  if (route && sched.settings.tlspolicy.dane && !old->tlspolicy.dane) {
    return true; /* it was asked without its TLSA records */
  }
  const char *host = route && route->count > 0 ? route->names + route->hosts[0].name : "";
  return *host && !same_name(sitemap_find(&old->sitemap, host),
                             sitemap_find(&sched.settings.sitemap, host));
}

void domain_settings_changed(const struct settings *old)
{
  for (struct list_node *node = domains.head.next; node != &domains.head; node = node->next) {
    struct domain *d = LIST_ITEM(node, struct domain, all);
    d->failures = 0;
    d->expires = d->retry_at = sched.now;
    if (d->route) {
      route_police(d->route, &sched.settings.tlspolicy, d->name);
    }
    if (moved(d, old)) {
      lookup_forget(d); /* the answer would be to the old question */
      d->state = DOMAIN_UNKNOWN;
    }
    if (d->waiting_count > 0 || (d->users == 0 && d->state != DOMAIN_OK)) {
      timer_set(&d->timer, sched.now);
    }
  }
  lookup_more();
}

void domain_ask_all(void)
{
  for (struct list_node *node = domains.head.next; node != &domains.head; node = node->next) {
    struct domain *d = LIST_ITEM(node, struct domain, all);
    if (d->waiting_count > 0) {
      timer_set(&d->timer, sched.now);
    }
  }
}

static void set_outcome(struct domain *d, enum verdict verdict, const char *status,
                        const char *text)
{
  if (!d->outcome) {
    d->outcome = memory_get(sizeof *d->outcome);
  }
  *d->outcome = (struct outcome){.verdict = verdict, .stage = STAGE_NONE};
  snprintf(d->outcome->status, sizeof d->outcome->status, "%s", status);
  snprintf(d->outcome->reply, sizeof d->outcome->reply, "%s", text);
}

static void fail(struct domain *d, const char *status, const char *text, const char *more,
                 uint32_t ttl)
{
  char words[RESOLVE_TEXT_SIZE + 128];

  snprintf(words, sizeof words, "%s%s%s", text, *more ? ": " : "", more);
  set_outcome(d, VERDICT_FAILED, status, words);
  d->state = DOMAIN_FAILED;
  ttl = ttl < DOMAIN_TTL_MIN ? DOMAIN_TTL_MIN : ttl;
  d->expires = sched.now + (int64_t)(ttl < DOMAIN_NEGATIVE_MAX ? ttl : DOMAIN_NEGATIVE_MAX) * 1000;
}

/* Doubled for each failure in a row. */
static uint64_t backoff(uint32_t failures)
{
  uint64_t seconds = sched.settings.probe_first;

  for (uint32_t i = 1; i < failures && seconds < sched.settings.probe_max; i++) {
    seconds *= 2;
  }
  return seconds < sched.settings.probe_max ? seconds : sched.settings.probe_max;
}

/* Asked again after so many seconds; until then the recipients stay. */
static void wait_until(struct domain *d, uint64_t seconds)
{
  d->state = DOMAIN_AGAIN;
  d->failed_at = sched_stamp();
  d->retry_at = sched.now + (int64_t)seconds * 1000;
  timer_set(&d->timer, d->retry_at);
}

void domain_tls_failed(struct domain *d, const struct outcome *outcome)
{
  uint64_t seconds;

  if (d->state == DOMAIN_AGAIN) {
    return; /* another connection has said so already */
  }
  if (sched_stamp() - d->failed_at > 2 * sched.settings.probe_max) {
    d->tls_failures = 0; /* an old story */
  }
  seconds = backoff(++d->tls_failures);
  if (!d->outcome) {
    d->outcome = memory_get(sizeof *d->outcome);
  }
  *d->outcome = *outcome;
  wait_until(d, seconds);
  loglines_printf(&sched.log, '=', "trouble domain=%s kind=tls failures=%u retry=%llus waiting=%u "
                  "host=%s reply=\"%s\"", d->name, d->tls_failures, (unsigned long long)seconds,
                  d->waiting_count, outcome->host, outcome->reply);
}

/* Back-off as for a lane; the recipients stay, and none of their attempts is spent. */
static void again(struct domain *d, const char *text)
{
  uint64_t seconds;

  if (d->state == DOMAIN_OK && sched.now < d->expires + DOMAIN_STALE_MS) {
    d->retry_at = sched.now + DOMAIN_TTL_MIN * 1000;
    return; /* the old route does until then */
  }
  seconds = backoff(++d->failures);
  set_outcome(d, VERDICT_DEFERRED, "4.4.3", text);
  wait_until(d, seconds);
  loglines_printf(&sched.log, '=', "trouble domain=%s kind=dns failures=%u retry=%llus waiting=%u "
                  "reply=\"%s\"", d->name, d->failures, (unsigned long long)seconds,
                  d->waiting_count, text);
}

static void take_route(struct domain *d, struct route *route, uint32_t ttl)
{
  struct site *old = d->site;

  ttl = ttl < DOMAIN_TTL_MIN ? DOMAIN_TTL_MIN : ttl > DOMAIN_TTL_MAX ? DOMAIN_TTL_MAX : ttl;
  d->expires = sched.now + (int64_t)ttl * 1000;
  d->state = DOMAIN_OK;
  d->failures = 0;
  route_free(d->route);
  d->route = route;
  route_police(route, &sched.settings.tlspolicy, d->name);
  d->site = site_get(route->site_key, route->site_name, route->shared);
  if (old) {
    site_release(old);
  }
}

void domain_settle(struct domain *d, const struct route_plan *plan, const struct resolve_answer *a)
{
  bool configured = plan->kind == ROUTE_HOST;

  if (plan->kind == ROUTE_REFUSED) {
    fail(d, "5.4.6", "this address literal is a local one or malformed", "", DOMAIN_TTL_MIN);
  } else if (plan->kind == ROUTE_DIRECT) {
    take_route(d, route_make(&sched.settings.sitemap, plan, NULL), DOMAIN_TTL_MAX);
  } else if (a->status == RESOLVE_OK && a->address_count > 0 && a->host_count > 0) {
    take_route(d, route_make(&sched.settings.sitemap, plan, a), a->ttl);
  } else if (configured || a->status == RESOLVE_AGAIN || a->status == RESOLVE_OK) {
    /* A host of control/smtproutes that does not exist is our mistake, not the recipient's. */
    again(d, a->text);
  } else if (a->status == RESOLVE_NULLMX) {
    fail(d, "5.1.10", "this domain takes no mail (null MX)", a->text, a->ttl); /* RFC 7505 4.2 */
  } else if (a->status == RESOLVE_SELF) {
    fail(d, "5.4.6", "the best MX of this domain is this relay", a->text, a->ttl);
  } else {
    fail(d, "5.1.2", a->status == RESOLVE_NODOMAIN ? "there is no such domain"
                                                   : "this domain has no mail host", a->text,
         a->ttl);
  }
  if (d->users == 0) {
    domain_free(d);
  } else if (d->state != DOMAIN_AGAIN) {
    flush(d);
  }
}
