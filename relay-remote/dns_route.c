/* Where mail for a domain goes, from what DNS has said. */
#include "dns_route.h"

#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void route_init(struct route *route)
{
  memset(route, 0, sizeof(*route));
  route->ttl = UINT32_MAX;
  for (uint32_t i = 0; i < RESOLVE_HOSTS_MAX; i++) {
    route->hosts[i].dane = DANE_UNASKED;
  }
}

static void use_ttl(struct route *route, uint32_t ttl)
{
  route->ttl = ttl < route->ttl ? ttl : route->ttl;
}

static void conclude(const struct route *route, struct resolve_answer *a,
                     enum resolve_status status, const char *format, const char *name)
{
  a->status = status;
  a->ttl = route->ttl == UINT32_MAX ? 0 : route->ttl;
  a->host_count = a->address_count = 0;
  snprintf(a->text, sizeof(a->text), format, name);
}

void route_take_host(struct route *route, const char *name, bool plain)
{
  route->implicit = true;
  route->plain = plain;
  route->secure = route->secure || plain;
  route->host_count = 1;
  snprintf(route->hosts[0].name, sizeof(route->hosts[0].name), "%s", name);
}

static int by_preference(const void *x, const void *y)
{
  uint32_t a = ((const struct dns_mx *)x)->preference, b = ((const struct dns_mx *)y)->preference;

  return a < b ? -1 : a > b;
}

/* RFC 5321 5.1: by preference, equal ones in random order (Fisher-Yates, then insertion: stable).
 */
static void sort_mx(struct dns_mx *mx, uint32_t count, uint32_t (*random_u32)(void))
{
  struct dns_mx saved;
  uint32_t i, j;

  for (i = count; i > 1; i--) {
    j = random_u32() % i;
    saved = mx[i - 1];
    mx[i - 1] = mx[j];
    mx[j] = saved;
  }
  for (i = 1; i < count; i++) {
    saved = mx[i];
    for (j = i; j > 0 && by_preference(&mx[j - 1], &saved) > 0; j--) {
      mx[j] = mx[j - 1];
    }
    mx[j] = saved;
  }
}

static void take_list(struct route *route, const struct dns_answer *answer,
                      uint32_t (*random_u32)(void))
{
  static struct dns_mx sorted[DNS_MX_MAX];

  memcpy(sorted, answer->mx, answer->mx_count * sizeof(sorted[0]));
  sort_mx(sorted, answer->mx_count, random_u32);
  for (uint32_t i = 0; i < answer->mx_count && route->host_count < RESOLVE_HOSTS_MAX; i++) {
    struct route_host *host = &route->hosts[route->host_count];
    bool known = !dns_host_valid(sorted[i].name);
    for (uint32_t k = 0; k < route->host_count && !known; k++) {
      known = strcmp(route->hosts[k].name, sorted[i].name) == 0;
    }
    if (!known) {
      host->preference = sorted[i].preference;
      memcpy(host->name, sorted[i].name, sizeof(host->name));
      route->host_count++;
    }
  }
}

bool route_take_mx(struct route *route, const char *domain, const struct dns_answer *mx,
                   uint32_t (*random_u32)(void), struct resolve_answer *a)
{
  use_ttl(route, mx->ttl);
  route->secure = mx->secure;
  switch (mx->status) {
  case DNS_NODATA: /* RFC 5321 5.1: the domain is its own MX */
    route_take_host(route, domain, false);
    return true;
  case DNS_NXDOMAIN:
    conclude(route, a, RESOLVE_NODOMAIN, "the domain %.200s does not exist", domain);
    return false;
  case DNS_FOUND:
    break;
  case DNS_ALIAS:
  case DNS_FAILED:
    conclude(route, a, RESOLVE_AGAIN, "no usable answer about the MX of %.200s", domain);
    return false;
  }
  if (mx->mx_count == 1 && !*mx->mx[0].name) { /* RFC 7505 3 */
    conclude(route, a, RESOLVE_NULLMX, "the domain %.200s takes no mail (null MX)", domain);
    return false;
  }
  take_list(route, mx, random_u32);
  if (route->host_count == 0) {
    conclude(route, a, RESOLVE_AGAIN, "no MX of %.200s is a host name", domain);
    return false;
  }
  return true;
}

static enum route_proof proof_of(const struct dns_answer *answer)
{
  switch (answer->status) {
  case DNS_FOUND:
    return answer->address_count > 0 ? ROUTE_SOME : ROUTE_NONE;
  case DNS_NODATA:
    return ROUTE_NONE;
  case DNS_NXDOMAIN:
    return ROUTE_NO_NAME;
  case DNS_ALIAS:
  case DNS_FAILED:
    break;
  }
  return ROUTE_UNKNOWN;
}

void route_take_addresses(struct route *route, uint32_t host, enum dns_type type,
                          const struct dns_answer *answer)
{
  struct route_host *h = &route->hosts[host];

  if (answer->status == DNS_FAILED || answer->status == DNS_ALIAS) {
    use_ttl(route, 0); /* asked again soon, though others may have given addresses */
  } else if (answer->status == DNS_FOUND || route->implicit) {
    use_ttl(route, answer->ttl);
  }
  if (answer->status == DNS_FOUND) {
    h->insecure = h->insecure || !answer->secure;
    if (strcmp(answer->owner, h->name) != 0) {
      snprintf(h->canonical, sizeof(h->canonical), "%s", answer->owner);
    }
  }
  if (type == DNS_A) {
    h->proof4 = proof_of(answer);
    h->v4_count = answer->address_count;
    memcpy(h->v4, answer->addresses, answer->address_count * sizeof(h->v4[0]));
  } else {
    h->proof6 = proof_of(answer);
    h->v6_count = answer->address_count;
    memcpy(h->v6, answer->addresses, answer->address_count * sizeof(h->v6[0]));
  }
}

static bool is_listed(const struct route_rules *rules, const struct ip *ip)
{
  for (uint32_t i = 0; i < rules->local_count; i++) {
    if (ip_network_has(&rules->local[i], ip)) {
      return true;
    }
  }
  return false;
}

/*
 * An MX at a loopback or unspecified address is this host, whatever its owner
 * meant: a stranger's domain must not make us talk to our own services.
 */
static bool is_own(const struct route_rules *rules, const struct ip *ip)
{
  static const unsigned char zero[16], loopback6[16] = {[15] = 1};

  if (ip->family == AF_INET
        ? ip->bytes[0] == 127 || ip->bytes[0] == 0
        : memcmp(ip->bytes, zero, 16) == 0 || memcmp(ip->bytes, loopback6, 16) == 0) {
    return true;
  }
  for (uint32_t i = 0; i < rules->own_count; i++) {
    if (ip_equal(&rules->own[i], ip)) {
      return true;
    }
  }
  return false;
}

/* Removes addresses that are never a destination; true if one of them is this host. */
static bool sift(const struct route_rules *rules, struct ip *ips, uint32_t *count)
{
  uint32_t kept = 0;
  bool own = false;

  for (uint32_t i = 0; i < *count; i++) {
    if (is_listed(rules, &ips[i])) {
      ips[kept++] = ips[i];
    } else if (is_own(rules, &ips[i])) {
      own = true;
    } else if (!ip_is_local(&ips[i])) {
      ips[kept++] = ips[i];
    }
  }
  *count = kept;
  return own;
}

/* A host of our own name at an address that control/mxlocal lists is an MX all the same. */
static bool any_listed(const struct route_rules *rules, const struct route_host *h)
{
  for (uint32_t i = 0; i < h->v4_count; i++) {
    if (is_listed(rules, &h->v4[i])) {
      return true;
    }
  }
  for (uint32_t i = 0; i < h->v6_count; i++) {
    if (is_listed(rules, &h->v6[i])) {
      return true;
    }
  }
  return false;
}

/* RFC 5321 5.1: hosts at and behind our own preference are left out. True: we were among them. */
static bool drop_behind_self(struct route *route, const struct route_rules *rules)
{
  uint32_t limit = UINT32_MAX, kept = 0;
  bool found = false;

  for (uint32_t i = 0; i < route->host_count; i++) {
    struct route_host *h = &route->hosts[i];
    bool own4 = sift(rules, h->v4, &h->v4_count), own6 = sift(rules, h->v6, &h->v6_count);
    bool named = scan_case_equal(h->name, strlen(h->name), rules->me, strlen(rules->me));
    if (own4 || own6 || (named && !any_listed(rules, h))) {
      found = true;
      limit = h->preference < limit ? h->preference : limit;
    }
  }
  for (uint32_t i = 0; found && i < route->host_count; i++) {
    if (route->hosts[i].preference < limit) {
      route->hosts[kept++] = route->hosts[i];
    }
  }
  route->host_count = found ? kept : route->host_count;
  return found;
}

static void put_address(struct resolve_answer *a, uint32_t host, const struct ip *ip)
{
  if (a->address_count < RESOLVE_ADDRESSES_MAX) {
    a->addresses[a->address_count].host = host;
    a->addresses[a->address_count++].ip = *ip;
  }
}

/* The families take turns, so that one that is cut off does not use up all tries. */
static void put_addresses(struct resolve_answer *a, uint32_t host, const struct route_host *h,
                          bool ipv6_first)
{
  uint32_t most = h->v4_count > h->v6_count ? h->v4_count : h->v6_count;

  for (uint32_t i = 0; i < most; i++) {
    if (ipv6_first && i < h->v6_count) {
      put_address(a, host, &h->v6[i]);
    }
    if (i < h->v4_count) {
      put_address(a, host, &h->v4[i]);
    }
    if (!ipv6_first && i < h->v6_count) {
      put_address(a, host, &h->v6[i]);
    }
  }
}

static void put_dane(struct resolve_answer *a, uint32_t host, const struct route_host *h)
{
  bool records = h->dane == DANE_RECORDS;

  a->hosts[host].dane = h->dane;
  snprintf(a->hosts[host].base, sizeof(a->hosts[host].base), "%s", records ? h->base : "");
  a->hosts[host].tlsa_len = records ? (uint32_t)tlsa_encode(&h->tlsa, a->hosts[host].tlsa) : 0;
}

static void put_hosts(const struct route *route, bool ipv6_first, struct resolve_answer *a)
{
  for (uint32_t i = 0; i < route->host_count; i++) {
    const struct route_host *h = &route->hosts[i];
    if (h->v4_count + h->v6_count > 0 && a->address_count < RESOLVE_ADDRESSES_MAX) {
      a->hosts[a->host_count].preference = h->preference;
      memcpy(a->hosts[a->host_count].name, h->name, sizeof(h->name));
      put_dane(a, a->host_count, h);
      put_addresses(a, a->host_count, h, ipv6_first);
      a->host_count++;
    }
  }
}

/* No address is left of a single host. Only two negative answers are a proof. */
static void conclude_host(const struct route *route, struct resolve_answer *a)
{
  const struct route_host *h = &route->hosts[0];

  if (h->proof4 == ROUTE_UNKNOWN || h->proof6 == ROUTE_UNKNOWN) {
    conclude(route, a, RESOLVE_AGAIN, "no answer about the address of %.200s", h->name);
  } else if (h->proof4 == ROUTE_SOME || h->proof6 == ROUTE_SOME) {
    conclude(route, a, RESOLVE_AGAIN, "no address of %.200s can be used", h->name);
  } else if (h->proof4 == ROUTE_NO_NAME && h->proof6 == ROUTE_NO_NAME) {
    conclude(route, a, RESOLVE_NODOMAIN, "the host %.200s does not exist", h->name);
  } else {
    conclude(route, a, RESOLVE_NOADDRESS, "%.200s has neither MX nor address", h->name);
  }
}

void route_finish(struct route *route, const struct route_rules *rules, struct resolve_answer *a)
{
  char first[DNS_NAME_SIZE];
  bool self = false;

  snprintf(first, sizeof(first), "%s", route->hosts[0].name);
  if (!route->plain) {
    self = drop_behind_self(route, rules);
  }
  if (self && route->host_count == 0) {
    conclude(route, a, RESOLVE_SELF, "the best MX, %.200s, is this host", first);
    return;
  }
  conclude(route, a, RESOLVE_OK, "%s", "");
  put_hosts(route, rules->ipv6_first, a);
  a->implicit = route->implicit && !route->plain;
  if (a->address_count > 0) {
    return;
  }
  if (route->implicit) {
    conclude_host(route, a);
  } else {
    /* RFC 5321 5.1 calls it an error; a misconfiguration that may be mended is no proof. */
    conclude(route, a, RESOLVE_AGAIN, "no MX host has a usable address: %.200s", first);
  }
}
