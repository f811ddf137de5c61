#include "sitemap.h"

#include "address.h"
#include "memory.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

/*
 * Not here: filtering services (Proofpoint, Mimecast), whose limits are each
 * customer's own, and whose MX sets make sites of their own.
 */
static const char *const built_in[] = {
  /* each domain has an MX of its own name; the newer zone is the one with DNSSEC */
  ".mail.protection.outlook.com:microsoft365",
  ".mx.microsoft:microsoft365",
  ".olc.protection.outlook.com:outlook.com", /* the consumer service has its own limits */
  ".google.com:google",
  ".googlemail.com:google",
  ".yahoodns.net:yahoo", /* with AOL */
  ".icloud.com:apple",
  ".apple.com:apple",
  ".docomo.ne.jp:docomo",
  ".ezweb.ne.jp:au",
  ".au.com:au",
  ".softbank.jp:softbank",
  ".softbank.ne.jp:softbank",
  ".i.softbank.jp:softbank",
  ".ymobile.ne.jp:softbank",
  ".yahoo.co.jp:yahoo-japan",
  ".gmx.net:gmx",
  ".web.de:gmx",
  ".t-online.de:t-online",
  ".orange.fr:orange",
  ".comcast.net:comcast",
  ".mail.ru:mail.ru",
  ".yandex.ru:yandex",
  ".yandex.net:yandex",
  ".qq.com:qq",
  ".163.com:netease",
  ".netease.com:netease",
  ".zoho.com:zoho",
  ".zoho.eu:zoho",
  ".protonmail.ch:proton",
  ".messagingengine.com:fastmail",
};

struct suffix {
  char *site; /* into suffix, behind its NUL */
  char suffix[];
};

static const void *key(const void *item, size_t *len)
{
  const struct suffix *s = item;

  *len = strlen(s->suffix);
  return s->suffix;
}

void sitemap_init(struct sitemap *map)
{
  hash_init(&map->by_suffix, key);
}

void sitemap_free(struct sitemap *map)
{
  size_t cursor = 0;
  void *item;

  while ((item = hash_next(&map->by_suffix, &cursor)) != NULL) {
    free(item);
  }
  hash_free(&map->by_suffix);
}

const char *sitemap_add(struct sitemap *map, const char *line)
{
  const char *colon = strchr(line, ':');
  size_t len = colon ? (size_t)(colon - line) : 0, dot = *line == '.';

  if (!colon) {
    return "not SUFFIX:SITE";
  }
  if (len <= dot || !address_domain_valid(line + dot, len - dot, false)) {
    return "not a host name or .suffix before the colon";
  }
  const char *site = colon + 1;
  if (!*site || strlen(site) > SITEMAP_NAME_MAX || strpbrk(site, " \t:")) {
    return "not a site's name (1 to 63 characters, no blank) after the colon";
  }
  struct suffix *s = memory_get(sizeof *s + strlen(line) + 1);
  memcpy(s->suffix, line, strlen(line) + 1);
  s->suffix[len] = '\0';
  s->site = s->suffix + len + 1;
  scan_lowercase(s->suffix, len);
  if (hash_find(&map->by_suffix, s->suffix, len)) {
    free(s);
    return "this suffix has a line already";
  }
  if (hash_insert(&map->by_suffix, s) == -1) {
    memory_out();
  }
  return NULL;
}

enum control_result sitemap_read(struct sitemap *map)
{
  struct control_list list;
  enum control_result result = control_list("sites", &list);

  if (result == CONTROL_MISSING) {
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
      sitemap_add(map, built_in[i]);
    }
  }
  if (result != CONTROL_OK) {
    return result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    const char *wrong = sitemap_add(map, list.lines[i]);
    if (wrong) {
      result = control_fail("sites", list.number[i], "%s: %s", wrong, list.lines[i]);
    }
  }
  control_list_free(&list);
  return result;
}

const char *sitemap_find(const struct sitemap *map, const char *host)
{
  const struct suffix *s = hash_find(&map->by_suffix, host, strlen(host));

  for (const char *dot = strchr(host, '.'); !s && dot; dot = strchr(dot + 1, '.')) {
    s = hash_find(&map->by_suffix, dot, strlen(dot));
  }
  return s ? s->site : NULL;
}
