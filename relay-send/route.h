#ifndef ROUTE_H
#define ROUTE_H

#include "resolve.h"
#include "route_plan.h"
#include "tlspolicy.h"
#include "settings.h"
#include "work.h"

/*
 * Where a domain's mail goes: the addresses in the order to be tried, and the
 * key and name of the site that they are. One block of memory.
 */
struct route_host {
  struct ip ip;
  uint16_t port;
  uint16_t name; /* bytes from the start of names: its name, then its TLSA records (route.c) */
  uint64_t tls;  /* what is demanded of a connection to it (tlspolicy_digest()) */
  uint8_t rank;  /* 0 for the hosts of the best preference, 1 for the next, ... */
};

struct route {
  char *site_key;  /* what makes two routes one site */
  char *site_name; /* for people */
  bool shared;     /* a provider named in control/sites: its domains have hosts of their own */
  char *names;
  uint32_t count;
  struct route_host hosts[];
};

/* Of an answer RESOLVE_OK, or of a direct plan (a NULL). route_free() releases it. */
struct route *route_make(const struct sitemap *map, const struct route_plan *plan,
                         const struct resolve_answer *a);

void route_free(struct route *route); /* may be NULL */

/* What control/tlspolicy, perhaps a new one, demands for mail to this domain. */
void route_police(struct route *route, const struct tlspolicies *policies, const char *domain);

/*
 * The rank of this address in the route, -1 if it is not one of its hosts with
 * this demand. A connection may be used for mail to which its host ranks no
 * worse than to the mail it was opened for: then whatever is better did not
 * answer either (RFC 5321 5.1).
 */
int route_rank(const struct route *route, const struct ip *ip, int port, uint64_t tls);

/*
 * May mail with the route mail, as far as TLS goes, go along on a connection
 * that is opened for with? Wherever that ends, what mail demands was demanded.
 */
bool route_joins(const struct route *mail, const struct route *with);

/* The demands themselves, of the hosts that route_fill() has put into open. */
void route_demands(const struct route *route, const struct tlspolicies *policies,
                   const char *domain, const struct work_open *open,
                   struct work_tls tls[WORK_HOSTS_MAX]);

/* The first WORK_HOSTS_MAX hosts that its source can reach, and their ranks. */
void route_fill(const struct route *route, struct work_open *open, uint8_t ranks[WORK_HOSTS_MAX]);

#endif
