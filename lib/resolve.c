#include "resolve.h"

#include <errno.h>
#include <string.h>

static bool with_tlsa(char kind)
{
  return kind == 'M' || kind == 'H';
}

int resolve_put_question(struct buf *b, const struct resolve_question *q)
{
  if (netstring_put(b, &q->kind, 1) || netstring_put_u64(b, q->token) ||
      netstring_put_str(b, q->name) ||
      (with_tlsa(q->kind) && netstring_put_u64(b, (uint64_t)q->port)))
    return -1;
  return 0;
}

int resolve_get_question(const char *data, size_t len, struct resolve_question *q)
{
  struct netstring_reader r;
  uint64_t port = 0;

  memset(q, 0, sizeof *q);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &q->kind);
  netstring_get_u64(&r, UINT64_MAX, &q->token);
  netstring_get_str(&r, q->name, sizeof q->name);
  if (with_tlsa(q->kind))
    netstring_get_u64(&r, 65535, &port);
  q->port = (int)port;
  if (netstring_end(&r) || !strchr("mhMH", q->kind) || !*q->name) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

static int put_host(struct buf *b, const struct resolve_answer *a, uint32_t i)
{
  const char dane = (char)a->hosts[i].dane;

  if (netstring_put_u64(b, a->hosts[i].preference) || netstring_put_str(b, a->hosts[i].name) ||
      netstring_put(b, &dane, 1) || netstring_put_str(b, a->hosts[i].base) ||
      netstring_put(b, (const char *)a->hosts[i].tlsa, a->hosts[i].tlsa_len))
    return -1;
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
    if (put_host(b, a, i))
      return -1;
  for (uint32_t i = 0; i < a->address_count; i++) {
    char text[IP_TEXT_SIZE];

    ip_format(&a->addresses[i].ip, text);
    if (netstring_put_u64(b, a->addresses[i].host) || netstring_put_str(b, text))
      return -1;
  }
  return 0;
}

static void get_dane(struct netstring_reader *r, struct resolve_answer *a, uint32_t i)
{
  struct tlsa_set set;
  const char *tlsa;
  char dane = 0;
  size_t len;

  netstring_get_char(r, &dane);
  netstring_get_str(r, a->hosts[i].base, sizeof a->hosts[i].base);
  if (netstring_get(r, TLSA_WIRE_MAX, &tlsa, &len))
    return;
  memcpy(a->hosts[i].tlsa, tlsa, len);
  a->hosts[i].tlsa_len = (uint32_t)len;
  a->hosts[i].dane = (enum dane_status)dane;
  if (!dane_valid(dane) || tlsa_decode(a->hosts[i].tlsa, len, &set) ||
      (dane == DANE_RECORDS) != (len > 0))
    r->bad = true;
}

static void get_hosts(struct netstring_reader *r, struct resolve_answer *a)
{
  for (uint32_t i = 0; i < a->host_count; i++) {
    uint64_t preference = 0;

    netstring_get_u64(r, UINT16_MAX, &preference);
    netstring_get_str(r, a->hosts[i].name, sizeof a->hosts[i].name);
    a->hosts[i].preference = (uint32_t)preference;
    get_dane(r, a, i);
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
