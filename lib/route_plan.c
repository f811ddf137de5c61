#include "route_plan.h"

#include "scan.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void plan_direct(struct route_plan *plan, const struct ip *ip, int port)
{
  char text[IP_TEXT_SIZE];

  ip_format(ip, text);
  plan->kind = ROUTE_DIRECT;
  plan->ip = *ip;
  plan->port = port;
  snprintf(plan->name, sizeof plan->name, "[%s]", text);
}

static void plan_smtproute(struct route_plan *plan, const struct smtproute *route)
{
  size_t len = strlen(route->host);
  struct ip ip;

  plan->smtproute = route;
  plan->port = route->port;
  if (ip_parse(route->host, len, &ip) == 0) {
    plan_direct(plan, &ip, route->port); /* an address without brackets, as qmail takes it */
    return;
  }
  if (route->host[0] == '[') {
    if (ip_parse(route->host + 1, len - 2, &ip) == 0 ||
        ip_parse_literal(route->host, len, &ip) == 0) {
      plan_direct(plan, &ip, route->port);
    }
    return;
  }
  plan->kind = ROUTE_HOST;
  snprintf(plan->name, sizeof plan->name, "%s", route->host);
}

void route_plan(const struct smtproutes *routes, const char *domain, struct route_plan *plan)
{
  const struct smtproute *route = smtproutes_find(routes, domain);
  const char *blank = strchr(domain, ' ');
  uint64_t port = SMTPROUTES_DEFAULT_PORT;
  struct ip ip;

  *plan = (struct route_plan){.kind = ROUTE_MX, .port = SMTPROUTES_DEFAULT_PORT};
  if (blank) {
    /* relay-smtpd has asked the kernel for this one and has checked it. */
    bool bad = ip_parse(domain, (size_t)(blank - domain), &ip) == -1 ||
               scan_u64(blank + 1, strlen(blank + 1), 65535, &port) == -1;
    plan_direct(plan, &ip, (int)port);
    plan->kind = bad ? ROUTE_REFUSED : ROUTE_DIRECT;
    return;
  }
  snprintf(plan->name, sizeof plan->name, "%s", domain);
  if (route && route->host[0]) {
    plan_smtproute(plan, route);
  } else if (*domain == '[') {
    /* RFC 5321 4.1.3. Ourselves and our links are only for who writes smtproutes. */
    if (ip_parse_literal(domain, strlen(domain), &ip) == -1 || ip_is_local(&ip)) {
      plan->kind = ROUTE_REFUSED;
    } else {
      plan_direct(plan, &ip, SMTPROUTES_DEFAULT_PORT);
    }
  } else if (route) {
    plan->smtproute = route;
    plan->port = route->port; /* "domain::2525": the MX look-up, another port */
  }
}
