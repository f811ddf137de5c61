#include "resolve.h"

#include <errno.h>
#include <string.h>

int resolve_put_question(struct buf *b, char kind, uint64_t token, const char *name)
{
  if (netstring_put(b, &kind, 1) || netstring_put_u64(b, token) || netstring_put_str(b, name))
    return -1;
  return 0;
}

int resolve_get_question(const char *data, size_t len, char *kind, uint64_t *token, char name[256])
{
  struct netstring_reader r;

  netstring_open(&r, data, len);
  netstring_get_char(&r, kind);
  netstring_get_u64(&r, UINT64_MAX, token);
  netstring_get_str(&r, name, 256);
  if (netstring_end(&r) || (*kind != 'm' && *kind != 'h') || !*name) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

int resolve_put_answer(struct buf *b, const struct resolve_answer *a)
{
  const char status = (char)a->status;

  if (netstring_put(b, "A", 1) || netstring_put_u64(b, a->token) || netstring_put(b, &status, 1) ||
      netstring_put_u64(b, a->ttl) || netstring_put_str(b, a->text) ||
      netstring_put_u64(b, a->host_count) || netstring_put_u64(b, a->address_count))
    return -1;
  for (uint32_t i = 0; i < a->host_count; i++)
    if (netstring_put_u64(b, a->hosts[i].preference) || netstring_put_str(b, a->hosts[i].name))
      return -1;
  for (uint32_t i = 0; i < a->address_count; i++) {
    char text[IP_TEXT_SIZE];

    ip_format(&a->addresses[i].ip, text);
    if (netstring_put_u64(b, a->addresses[i].host) || netstring_put_str(b, text))
      return -1;
  }
  return 0;
}

static void get_hosts(struct netstring_reader *r, struct resolve_answer *a)
{
  for (uint32_t i = 0; i < a->host_count; i++) {
    uint64_t preference = 0;

    netstring_get_u64(r, UINT16_MAX, &preference);
    netstring_get_str(r, a->hosts[i].name, sizeof a->hosts[i].name);
    a->hosts[i].preference = (uint32_t)preference;
  }
}

static void get_addresses(struct netstring_reader *r, struct resolve_answer *a)
{
  for (uint32_t i = 0; i < a->address_count; i++) {
    uint64_t host = 0;
    const char *text;
    size_t len;

    if (netstring_get_u64(r, RESOLVE_HOSTS_MAX - 1, &host) ||
        netstring_get(r, IP_TEXT_SIZE - 1, &text, &len))
      return;
    if (host >= a->host_count || ip_parse(text, len, &a->addresses[i].ip))
      r->bad = true;
    a->addresses[i].host = (uint32_t)host;
  }
}

int resolve_get_answer(const char *data, size_t len, struct resolve_answer *a)
{
  struct netstring_reader r;
  uint64_t ttl = 0, hosts = 0, addresses = 0;
  char verb = 0, status = 0;

  memset(a, 0, sizeof *a);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &verb);
  netstring_get_u64(&r, UINT64_MAX, &a->token);
  netstring_get_char(&r, &status);
  netstring_get_u64(&r, UINT32_MAX, &ttl);
  netstring_get_str(&r, a->text, sizeof a->text);
  netstring_get_u64(&r, RESOLVE_HOSTS_MAX, &hosts);
  if (!netstring_get_u64(&r, RESOLVE_ADDRESSES_MAX, &addresses)) {
    a->host_count = (uint32_t)hosts;
    a->address_count = (uint32_t)addresses;
    get_hosts(&r, a);
    get_addresses(&r, a);
  }
  if (netstring_end(&r) || verb != 'A' || !strchr("onxast", status) ||
      (status == RESOLVE_OK && !addresses)) {
    errno = EINVAL;
    return -1;
  }
  a->status = (enum resolve_status)status;
  a->ttl = (uint32_t)ttl;
  return 0;
}
