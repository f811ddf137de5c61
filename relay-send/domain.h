#ifndef DOMAIN_H
#define DOMAIN_H

#include "message.h"
#include "route.h"

struct site;

/*
 * A destination: a mail domain, an address literal, or the address and port of
 * transparent mode. It caches the route for its time to live, negative answers
 * too. Recipients wait here, and hold no worker, until there is an answer; each
 * tenant's questions in flight are capped. A route that has run out is used on
 * while its successor is asked for (RFC 8767 in spirit), so that a big backlog
 * never stands still for DNS.
 */
enum domain_state {
  DOMAIN_UNKNOWN, /* never asked, or what was known no longer holds */
  DOMAIN_OK,
  DOMAIN_FAILED, /* proven to take no mail: outcome says why */
  DOMAIN_AGAIN   /* no answer for now: outcome says why, asked again at retry_at */
};

struct domain {
  struct timer timer;
  struct list_node all;
  struct list_node waiting; /* recipients */
  struct list_node unasked; /* in the list of asker */
  struct tenant *asker;     /* whose question it is, asked or not yet */
  struct site *site;
  struct route *route;
  struct outcome *outcome;
  uint64_t token; /* of the question in flight, 0: none */
  int64_t expires;
  int64_t retry_at;
  uint32_t users; /* recipients */
  uint32_t waiting_count;
  uint32_t failures;
  uint32_t tls_failures; /* in a row */
  uint32_t failed_at; /* sched_stamp() */
  enum domain_state state;
  bool held;
  char name[];
};

extern struct list domains;

void domain_start(void);

/* The domain of a recipient, made if new; counts one user. destination: of transparent mode, or "". */
struct domain *domain_get(const char *destination, const char *address);
struct domain *domain_find(const char *name);
void domain_release(struct domain *d);

/* The recipient waits for an answer; the question is asked if it is not yet. */
void domain_wait(struct domain *d, struct rcpt *r);
void domain_leave(struct rcpt *r);

/* Asks (again) in the name of a tenant, unless the question is under way. */
void domain_ask(struct domain *d, struct tenant *t);
/* Asks what waits for a free question: at E, at the resolver's arrival, after HUP. */
void domain_ask_all(void);
/*
 * After HUP. Where smtproutes or sites have moved a domain, nothing that is known of it holds; all
 * others are asked again, and what is known is used on until there is an answer.
 */
void domain_settings_changed(const struct settings *old);
void domain_retry(struct domain *d);

void domain_answer(const struct resolve_answer *a);
/* What is to be done with an answer (none for a direct plan). The domain may be gone afterwards. */
void domain_settle(struct domain *d, const struct route_plan *plan, const struct resolve_answer *a);
unsigned domain_lookups(void);

/*
 * No MX of it does what control/tlspolicy demands. Its site may be well, for
 * others; so it is the domain that waits, as if DNS had given no answer.
 */
void domain_tls_failed(struct domain *d, const struct outcome *outcome);

#endif
