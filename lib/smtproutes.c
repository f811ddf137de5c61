#include "smtproutes.h"

#include "address.h"
#include "ip.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#define OUT_OF_MEMORY "out of memory"

static const void *key(const void *item, size_t *len)
{
  const struct smtproute *route = item;

  *len = strlen(route->domain);
  return route->domain;
}

void smtproutes_init(struct smtproutes *routes)
{
  hash_init(&routes->by_domain, key);
}

static void route_free(struct smtproute *route)
{
  if (!route) {
    return;
  }
  free(route->domain);
  free(route->host);
  free(route);
}

void smtproutes_free(struct smtproutes *routes)
{
  size_t cursor = 0;
  struct smtproute *route;

  while ((route = hash_next(&routes->by_domain, &cursor)) != NULL) {
    route_free(route);
  }
  hash_free(&routes->by_domain);
}

/* The colon that ends a field which may be a literal in brackets, or the end. */
static const char *field_end(const char *s)
{
  const char *closing = *s == '[' ? strchr(s, ']') : NULL;

  if (closing) {
    s = closing;
  }
  return s + strcspn(s, ":");
}

static bool domain_valid(const char *s, size_t len)
{
  struct ip ip;

  if (len == 0) {
    return true; /* the default */
  }
  if (*s == '[') {
    return ip_parse_literal(s, len, &ip) == 0;
  }
  if (*s == '.') {
    s++;
    len--;
  }
  return address_domain_valid(s, len, true);
}

/* "[192.0.2.1]", "[2001:db8::1]" and "[IPv6:2001:db8::1]", a name, or nothing. */
static bool host_valid(const char *s, size_t len)
{
  struct ip ip;

  if (len == 0) {
    return true;
  }
  if (*s == '[') {
    return len > 2 && s[len - 1] == ']' &&
           (ip_parse(s + 1, len - 2, &ip) == 0 || ip_parse_literal(s, len, &ip) == 0);
  }
  return address_domain_valid(s, len, false);
}

static char *copy(const char *s, size_t len)
{
  char *p = strndup(s, len);

  if (p) {
    scan_lowercase(p, len);
  }
  return p;
}

/* NULL: out of memory. */
static struct smtproute *route_new(const char *domain, size_t domain_len, const char *host,
                                   size_t host_len)
{
  struct smtproute *route = calloc(1, sizeof *route);

  if (route) {
    route->domain = copy(domain, domain_len);
    route->host = copy(host, host_len);
  }
  if (route && route->domain && route->host) {
    return route;
  }
  route_free(route);
  return NULL;
}

const char *smtproutes_add(struct smtproutes *routes, const char *line, unsigned number)
{
  const char *domain_end = field_end(line);
  uint64_t port = SMTPROUTES_DEFAULT_PORT;

  if (*domain_end != ':') {
    return "not DOMAIN:HOST[:PORT]";
  }
  const char *host = domain_end + 1, *host_end = field_end(host);
  if (!domain_valid(line, (size_t)(domain_end - line))) {
    return "not a domain before the first colon";
  }
  if (!host_valid(host, (size_t)(host_end - host))) {
    return "not a host name or an address in brackets after the first colon";
  }
  if (*host_end == ':' && host_end[1] &&
      (scan_u64(host_end + 1, strlen(host_end + 1), 65535, &port) == -1 || port == 0)) {
    return "not a port from 1 to 65535 after the host";
  }
  struct smtproute *route =
    route_new(line, (size_t)(domain_end - line), host, (size_t)(host_end - host));
  if (!route) {
    return OUT_OF_MEMORY;
  }
  route->port = (int)port;
  route->line = number;
  if (hash_find(&routes->by_domain, route->domain, strlen(route->domain))) {
    route_free(route);
    return "this domain has a line already";
  }
  if (hash_insert(&routes->by_domain, route) == -1) {
    route_free(route);
    return OUT_OF_MEMORY;
  }
  return NULL;
}

enum control_result smtproutes_read(struct smtproutes *routes)
{
  struct control_list list;
  enum control_result result = control_list("smtproutes", &list);

  if (result != CONTROL_OK) {
    return result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    const char *wrong = smtproutes_add(routes, list.lines[i], list.number[i]);
    if (wrong) {
      result = strcmp(wrong, OUT_OF_MEMORY) == 0 ? CONTROL_UNREADABLE : CONTROL_MALFORMED;
      control_fail("smtproutes", list.number[i], "%s: %s", wrong, list.lines[i]);
    }
  }
  control_list_free(&list);
  return result;
}

const struct smtproute *smtproutes_find(const struct smtproutes *routes, const char *domain)
{
  const struct smtproute *route = hash_find(&routes->by_domain, domain, strlen(domain));

  /* A literal has dots but no suffixes. */
  for (const char *dot = *domain == '[' ? NULL : strchr(domain, '.'); !route && dot;
       dot = strchr(dot + 1, '.')) {
    route = hash_find(&routes->by_domain, dot, strlen(dot));
  }
  return route ? route : hash_find(&routes->by_domain, "", 0);
}
