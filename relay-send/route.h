#ifndef ROUTE_H
#define ROUTE_H

#include "resolve.h"
#include "settings.h"
#include "work.h"

/*
 * Where a domain's mail goes: the addresses in the order to be tried, and the
 * key and name of the site that they are. One block of memory.
 */
struct route_host {
  struct ip ip;
  uint16_t port;
  uint16_t name; /* bytes from the start of names */
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

/* How mail for a domain is routed before DNS is asked. */
enum route_kind {
  ROUTE_MX,      /* question m, of the domain itself */
  ROUTE_HOST,    /* question h, of a host from control/smtproutes */
  ROUTE_DIRECT,  /* an address: no question */
  ROUTE_REFUSED  /* an address that mail from outside may not reach */
};

struct route_plan {
  enum route_kind kind;
  char name[256]; /* what to ask, or the address in brackets */
  struct ip ip;
  int port;
};

/* domain is a mail domain, an address literal, or "ADDRESS PORT" (transparent mode). */
void route_plan(const struct smtproutes *routes, const char *domain, struct route_plan *plan);

/* Of an answer RESOLVE_OK, or of a direct plan (a NULL). route_free() releases it. */
struct route *route_make(const struct sitemap *map, const struct route_plan *plan,
                         const struct resolve_answer *a);

void route_free(struct route *route); /* may be NULL */

/*
 * The rank of this address in the route, -1 if it is not one of its hosts. A
 * connection may be used for mail to which its host ranks no worse than to the
 * mail it was opened for: then whatever is better did not answer either
 * (RFC 5321 5.1).
 */
int route_rank(const struct route *route, const struct ip *ip, int port);

/* The first WORK_HOSTS_MAX hosts that its source can reach, and their ranks. */
void route_fill(const struct route *route, struct work_open *open, uint8_t ranks[WORK_HOSTS_MAX]);

#endif
