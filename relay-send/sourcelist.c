#include "sourcelist.h"

#include "address.h"
#include "envelope.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { FIELD_NAME, FIELD_IP4, FIELD_IP6, FIELD_HELO, FIELDS };

struct field {
  const char *s;
  size_t len;
};

static const void *key(const void *item, size_t *len)
{
  const struct sourceline *line = item;

  *len = strlen(line->name);
  return line->name;
}

void sourcelist_init(struct sourcelist *list)
{
  hash_init(&list->by_name, key);
}

void sourcelist_free(struct sourcelist *list)
{
  size_t cursor = 0;
  void *item;

  while ((item = hash_next(&list->by_name, &cursor)) != NULL) {
    free(item);
  }
  hash_free(&list->by_name);
}

/* How many words the line has; the first FIELDS of them are in fields. */
static size_t split(const char *line, struct field fields[FIELDS])
{
  size_t n = 0;

  for (line += strspn(line, " \t"); *line; line += strspn(line, " \t"), n++) {
    size_t len = strcspn(line, " \t");
    if (n < FIELDS) {
      fields[n] = (struct field){line, len};
    }
    line += len;
  }
  return n;
}

static bool is_none(const struct field *f)
{
  return f->len == 1 && *f->s == '-';
}

/* False: no address of that family, or one that no connection can come from. */
static bool parse_ip(const struct field *f, int family, struct ip *ip)
{
  static const unsigned char zero[16];

  if (is_none(f)) {
    *ip = (struct ip){.family = 0};
    return true;
  }
  if (ip_parse(f->s, f->len, ip) == -1 || ip->family != family) {
    return false;
  }
  /* Loopback is for tests; multicast and the unspecified address, which is "any", are mistakes. */
  bool multicast = family == AF_INET ? ip->bytes[0] >= 224 : ip->bytes[0] == 0xff;
  return !multicast && memcmp(ip->bytes, zero, family == AF_INET ? 4 : 16) != 0;
}

const char *sourcelist_add(struct sourcelist *list, const char *text)
{
  struct field f[FIELDS];
  struct ip ip4, ip6;

  if (split(text, f) != FIELDS) {
    return "not NAME IPV4 IPV6 HELO, with - for none";
  }
  if (!envelope_source_valid(f[FIELD_NAME].s, f[FIELD_NAME].len) || is_none(&f[FIELD_NAME])) {
    return "not a name of 1 to 64 printable characters";
  }
  if (!parse_ip(&f[FIELD_IP4], AF_INET, &ip4)) {
    return "the second word is no IPv4 address of a host, nor -";
  }
  if (!parse_ip(&f[FIELD_IP6], AF_INET6, &ip6)) {
    return "the third word is no IPv6 address of a host, nor -";
  }
  if (!ip4.family && !ip6.family) {
    return "neither an IPv4 nor an IPv6 address";
  }
  if (!is_none(&f[FIELD_HELO]) && !address_domain_valid(f[FIELD_HELO].s, f[FIELD_HELO].len, false)) {
    return "the fourth word is no host name, nor -";
  }
  if (hash_find(&list->by_name, f[FIELD_NAME].s, f[FIELD_NAME].len)) {
    return "this name has a line already";
  }
  size_t helo_len = is_none(&f[FIELD_HELO]) ? 0 : f[FIELD_HELO].len;
  struct sourceline *line = memory_get(sizeof *line + f[FIELD_NAME].len + 1 + helo_len + 1);
  line->ip4 = ip4;
  line->ip6 = ip6;
  memcpy(line->name, f[FIELD_NAME].s, f[FIELD_NAME].len);
  line->helo = line->name + f[FIELD_NAME].len + 1;
  memcpy(line->helo, f[FIELD_HELO].s, helo_len);
  if (hash_insert(&list->by_name, line) == -1) {
    memory_out();
  }
  return NULL;
}

enum control_result sourcelist_read(struct sourcelist *sources)
{
  struct control_list list;
  enum control_result result = control_list("sources", &list);

  if (result != CONTROL_OK) {
    return result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    const char *wrong = sourcelist_add(sources, list.lines[i]);
    if (wrong) {
      result = control_fail("sources", list.number[i], "%s: %s", wrong, list.lines[i]);
    }
  }
  control_list_free(&list);
  return result;
}

const struct sourceline *sourcelist_find(const struct sourcelist *list, const char *name)
{
  return hash_find(&list->by_name, name, strlen(name));
}

bool sourcelist_same(const struct sourcelist *a, const struct sourcelist *b, const char *name)
{
  const struct sourceline *was = sourcelist_find(a, name), *is = sourcelist_find(b, name);

  if (!was || !is) {
    return was == is;
  }
  return ip_equal(&was->ip4, &is->ip4) && ip_equal(&was->ip6, &is->ip6) &&
         strcmp(was->helo, is->helo) == 0;
}

bool source_reaches(const struct ip *ip4, const struct ip *ip6, const struct ip *to)
{
  bool any = ip4->family == 0 && ip6->family == 0;

  return any || (to->family == AF_INET ? ip4 : ip6)->family != 0;
}
