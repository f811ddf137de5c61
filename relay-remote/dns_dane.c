/* A host's TLSA records: where they are looked for, and what an answer about them means. */
#include "dns_dane.h"

#include <stdio.h>
#include <string.h>

bool dane_begin(struct route *route, uint32_t host, bool local)
{
  struct route_host *h = &route->hosts[host];

  if (!*h->name) {
    return false; /* an address has no records */
  }
  if (!local) {
    h->dane = DANE_REMOTE;
    return false;
  }
  /* RFC 7672 2.2.1, 2.2.2 */
  if (!route->secure || h->insecure || h->v4_count + h->v6_count == 0) {
    h->dane = DANE_INSECURE;
    return false;
  }
  /* RFC 7672 2.2.3: of an alias first the records of its end. */
  memcpy(h->base, *h->canonical ? h->canonical : h->name, sizeof(h->base));
  return true;
}

int dane_question(const struct route *route, uint32_t host, int port, char name[DNS_NAME_SIZE])
{
  int n = snprintf(name, DNS_NAME_SIZE, "_%d._tcp.%s", port, route->hosts[host].base);

  return n > 0 && n < DNS_NAME_SIZE ? 0 : -1;
}

static enum dane_status status_of(const struct dns_answer *answer)
{
  switch (answer->status) {
  case DNS_FOUND:
    return !answer->secure ? DANE_INSECURE : answer->tlsa.count > 0 ? DANE_RECORDS : DANE_UNUSABLE;
  case DNS_NODATA:
  case DNS_NXDOMAIN:
    return answer->secure ? DANE_NONE : DANE_INSECURE;
  case DNS_ALIAS:
  case DNS_FAILED:
    break;
  }
  return DANE_FAILED;
}

bool dane_take(struct route *route, uint32_t host, const struct dns_answer *answer)
{
  struct route_host *h = &route->hosts[host];
  uint32_t ttl = answer->status == DNS_FAILED || answer->status == DNS_ALIAS ? 0 : answer->ttl;

  route->ttl = ttl < route->ttl ? ttl : route->ttl;
  h->dane = status_of(answer);
  if ((h->dane == DANE_NONE || h->dane == DANE_INSECURE) && strcmp(h->base, h->name) != 0) {
    memcpy(h->base, h->name, sizeof(h->base));
    return true;
  }
  h->tlsa = answer->tlsa;
  tlsa_prefer_strongest(&h->tlsa);
  return false;
}
