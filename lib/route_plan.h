#ifndef ROUTE_PLAN_H
#define ROUTE_PLAN_H

#include "ip.h"
#include "smtproutes.h"

/* How mail for a domain is routed before DNS is asked. */
enum route_kind {
  ROUTE_MX,     /* question m, of the domain itself */
  ROUTE_HOST,   /* question h, of a host from control/smtproutes */
  ROUTE_DIRECT, /* an address: no question */
  ROUTE_REFUSED /* an address that mail from outside may not reach */
};

struct route_plan {
  enum route_kind kind;
  char name[256]; /* what to ask, or the address in brackets */
  struct ip ip;
  int port;
  const struct smtproute *smtproute; /* what has decided, while routes are; NULL: no line has */
};

/* domain is a mail domain, an address literal, or "ADDRESS PORT" (transparent mode). */
void route_plan(const struct smtproutes *routes, const char *domain, struct route_plan *plan);

#endif
