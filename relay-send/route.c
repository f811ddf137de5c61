#include "route.h"

#include "address.h"
#include "memory.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The sorted set of hosts, so that the shuffle of equal preferences changes nothing. */
static void set_key(struct buf *key, const struct resolve_answer *a, int port)
{
  const char *names[RESOLVE_HOSTS_MAX];
  int failed = 0;

  for (uint32_t i = 0; i < a->host_count; i++) {
    names[i] = a->hosts[i].name;
  }
  qsort(names, a->host_count, sizeof *names, compare_names);
  for (uint32_t i = 0; i < a->host_count; i++) {
    if (i == 0 || strcmp(names[i], names[i - 1]) != 0) {
      failed |= buf_printf(key, "%s ", names[i]);
    }
  }
  failed |= port == SMTPROUTES_DEFAULT_PORT ? 0 : buf_printf(key, ":%d", port);
  if (failed) {
    memory_out();
  }
}

static void set_site(struct route *route, const char *named, const struct route_plan *plan,
                     const struct resolve_answer *a)
{
  struct buf key = BUF_INIT(RESOLVE_HOSTS_MAX * 257 + 16);
  const char *first = a ? a->hosts[0].name : plan->name;
  struct buf name = BUF_INIT(512);
  int failed = 0;

  if (named) {
    failed |= buf_printf(&key, "=%s", named) | buf_append_str(&name, named);
  } else {
    if (a) {
      set_key(&key, a, plan->port);
    } else {
      failed |= buf_printf(&key, "%s :%d", plan->name, plan->port);
    }
    failed |= plan->port == SMTPROUTES_DEFAULT_PORT ? buf_append_str(&name, first)
                                                    : buf_printf(&name, "%s:%d", first, plan->port);
  }
  if (failed) {
    memory_out();
  }
  route->shared = named != NULL;
  route->site_key = memory_copy(buf_cstr(&key));
  route->site_name = memory_copy(buf_cstr(&name));
  buf_free(&key);
  buf_free(&name);
}

/*
 * In names, a host is: its name, NUL, its enum dane_status, the base name of
 * its TLSA records, NUL, two bytes for the length of the records, and these.
 */
#define NAME_FIXED_BYTES 5

static size_t name_size(const struct resolve_answer *a, uint32_t h)
{
  return strlen(a->hosts[h].name) + strlen(a->hosts[h].base) + a->hosts[h].tlsa_len +
         NAME_FIXED_BYTES;
}

static void put_name(char *p, const struct resolve_answer *a, uint32_t h)
{
  p = stpcpy(p, a->hosts[h].name) + 1;
  *p++ = (char)a->hosts[h].dane;
  p = stpcpy(p, a->hosts[h].base) + 1;
  *p++ = (char)(a->hosts[h].tlsa_len >> 8);
  *p++ = (char)(a->hosts[h].tlsa_len & 0xff);
  memcpy(p, a->hosts[h].tlsa, a->hosts[h].tlsa_len);
}

static void get_name(const struct route *route, uint32_t i, const char *domain,
                     struct tls_host *host)
{
  const char *p = route->names + route->hosts[i].name;

  host->domain = domain;
  host->mx = p;
  p += strlen(p) + 1;
  host->dane = (enum dane_status) * p++;
  host->base = p;
  p += strlen(p) + 1;
  host->tlsa_len = (size_t)(unsigned char)p[0] << 8 | (unsigned char)p[1];
  host->tlsa = (const unsigned char *)p + 2;
}

static void fill_hosts(struct route *route, const struct route_plan *plan,
                       const struct resolve_answer *a)
{
  uint16_t at = NAME_FIXED_BYTES; /* the first is "", for an address without a name */
  uint8_t rank = 0;

  route->names[1] = DANE_UNASKED;

  if (!a) {
    route->hosts[0] = (struct route_host){.ip = plan->ip, .port = (uint16_t)plan->port};
    route->count = 1;
    return;
  }
  for (uint32_t h = 0; h < a->host_count; h++) {
    rank = (uint8_t)(rank + (h > 0 && a->hosts[h].preference != a->hosts[h - 1].preference));
    for (uint32_t i = 0; i < a->address_count; i++) {
      if (a->addresses[i].host == h) {
        route->hosts[route->count++] = (struct route_host){
          .ip = a->addresses[i].ip, .port = (uint16_t)plan->port, .name = at, .rank = rank};
      }
    }
    put_name(route->names + at, a, h);
    at = (uint16_t)(at + name_size(a, h));
  }
}

struct route *route_make(const struct sitemap *map, const struct route_plan *plan,
                         const struct resolve_answer *a)
{
  uint32_t hosts = a ? a->address_count : 1;
  size_t names = NAME_FIXED_BYTES, size = sizeof(struct route) + hosts * sizeof(struct route_host);

  for (uint32_t h = 0; a && h < a->host_count; h++) {
    names += name_size(a, h);
  }
  struct route *route = memory_get(size + names);
  route->names = (char *)route + size;
  fill_hosts(route, plan, a);
  /* The best host decides: a backup MX elsewhere does not make it another provider. */
  set_site(route, a ? sitemap_find(map, a->hosts[0].name) : NULL, plan, a);
  return route;
}

static void demand_of(const struct route *route, uint32_t i, const struct tlspolicies *policies,
                      const char *domain, struct work_tls *demand)
{
  struct tls_host host;

  get_name(route, i, domain, &host);
  tlspolicy_demand(tlspolicy_find(policies, domain, host.mx), &host, demand);
}

void route_police(struct route *route, const struct tlspolicies *policies, const char *domain)
{
  struct work_tls demand;

  for (uint32_t i = 0; i < route->count; i++) {
    if (i > 0 && route->hosts[i].name == route->hosts[i - 1].name) {
      route->hosts[i].tls = route->hosts[i - 1].tls;
    } else {
      demand_of(route, i, policies, domain, &demand);
      route->hosts[i].tls = tlspolicy_digest(&demand);
    }
  }
}

int route_rank(const struct route *route, const struct ip *ip, int port, uint64_t tls)
{
  for (uint32_t i = 0; i < route->count; i++) {
    if (route->hosts[i].port == port && route->hosts[i].tls == tls &&
        ip_equal(&route->hosts[i].ip, ip)) {
      return route->hosts[i].rank;
    }
  }
  return -1;
}

/* Is the same demanded of all of its hosts? */
static bool is_uniform(const struct route *route)
{
  for (uint32_t i = 1; i < route->count; i++) {
    if (route->hosts[i].tls != route->hosts[0].tls) {
      return false;
    }
  }
  return true;
}

bool route_joins(const struct route *mail, const struct route *with)
{
  if (mail->hosts[0].tls == with->hosts[0].tls && is_uniform(mail) && is_uniform(with)) {
    return true;
  }
  for (uint32_t i = 0; i < with->count; i++) {
    if (route_rank(mail, &with->hosts[i].ip, with->hosts[i].port, with->hosts[i].tls) < 0) {
      return false;
    }
  }
  return true;
}

/* Found again by what they are, not by their place: open may have some of the route only. */
static uint32_t find_host(const struct route *route, const struct work_host *host)
{
  uint32_t i = 0;

  while (i < route->count &&
         (route->hosts[i].port != host->port || !ip_equal(&route->hosts[i].ip, &host->ip) ||
          strcmp(route->names + route->hosts[i].name, host->name) != 0)) {
    i++;
  }
  return i;
}

void route_demands(const struct route *route, const struct tlspolicies *policies,
                   const char *domain, const struct work_open *open,
                   struct work_tls tls[WORK_HOSTS_MAX])
{
  for (uint32_t n = 0; n < open->host_count; n++) {
    uint32_t i = find_host(route, &open->hosts[n]);
    if (i < route->count) {
      demand_of(route, i, policies, domain, &tls[n]);
    } else {
      tls[n] = (struct work_tls){.kind = TLS_BARRED, .reason = "it is not a host of this domain"};
    }
  }
}

void route_fill(const struct route *route, struct work_open *open, uint8_t ranks[WORK_HOSTS_MAX])
{
  for (uint32_t i = 0; i < route->count && open->host_count < WORK_HOSTS_MAX; i++) {
    if (!source_reaches(&open->source4, &open->source6, &route->hosts[i].ip)) {
      continue;
    }
    ranks[open->host_count] = route->hosts[i].rank;
    struct work_host *host = &open->hosts[open->host_count++];
    snprintf(host->name, sizeof host->name, "%s", route->names + route->hosts[i].name);
    host->ip = route->hosts[i].ip;
    host->port = route->hosts[i].port;
  }
}

void route_free(struct route *route)
{
  if (route) {
    free(route->site_key);
    free(route->site_name);
    free(route);
  }
}
