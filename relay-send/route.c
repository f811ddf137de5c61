#include "route.h"

#include "address.h"
#include "memory.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
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
    plan->port = route->port; /* "domain::2525": the MX look-up, another port */
  }
}

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
    failed |= plan->port == SMTPROUTES_DEFAULT_PORT
                ? buf_append_str(&name, first)
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

static void fill_hosts(struct route *route, const struct route_plan *plan,
                       const struct resolve_answer *a)
{
  uint16_t at = 1; /* names[0] is "", for an address without a name */
  uint8_t rank = 0;

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
    strcpy(route->names + at, a->hosts[h].name);
    at = (uint16_t)(at + strlen(a->hosts[h].name) + 1);
  }
}

struct route *route_make(const struct sitemap *map, const struct route_plan *plan,
                         const struct resolve_answer *a)
{
  uint32_t hosts = a ? a->address_count : 1;
  size_t names = 1, size = sizeof(struct route) + hosts * sizeof(struct route_host);

  for (uint32_t h = 0; a && h < a->host_count; h++) {
    names += strlen(a->hosts[h].name) + 1;
  }
  struct route *route = memory_get(size + names);
  route->names = (char *)route + size;
  fill_hosts(route, plan, a);
  /* The best host decides: a backup MX elsewhere does not make it another provider. */
  set_site(route, a ? sitemap_find(map, a->hosts[0].name) : NULL, plan, a);
  return route;
}

int route_rank(const struct route *route, const struct ip *ip, int port)
{
  for (uint32_t i = 0; i < route->count; i++) {
    if (route->hosts[i].port == port && ip_equal(&route->hosts[i].ip, ip)) {
      return route->hosts[i].rank;
    }
  }
  return -1;
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
