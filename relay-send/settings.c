#include "settings.h"

#include "address.h"

#include <stddef.h>
#include <string.h>

#define YEAR 31536000

/* A number each, in seconds where nothing else is said. */
static const struct number {
  const char *name;
  uint64_t min, max, missing;
  size_t offset;
} numbers[] = {
  {"lifetime", 1, YEAR, 432000, offsetof(struct settings, lifetime)},
  {"delaywarn", 0, YEAR, 14400, offsetof(struct settings, delaywarn)},
  {"concurrencyremote", 1, WORK_WORKERS_MAX, 200, offsetof(struct settings, workers)},
  {"concurrencysite", 1, 10000, 20, offsetof(struct settings, site_connections)},
  {"windowinitial", 1, 10000, 4, offsetof(struct settings, window_initial)},
  {"connectionmessages", 1, 1000000, 100, offsetof(struct settings, connection_messages)},
  {"probefirst", 1, 86400, 15, offsetof(struct settings, probe_first)},
  {"probemax", 1, 86400, 600, offsetof(struct settings, probe_max)},
  {"ceilingfirst", 1, 86400, 300, offsetof(struct settings, ceiling_first)},
  {"ceilingmax", 1, 86400, 3600, offsetof(struct settings, ceiling_most)},
  {"pausefirst", 1, 86400, 1800, offsetof(struct settings, pause_first)},
  {"pausemax", 1, 86400, 14400, offsetof(struct settings, pause_most)},
  {"lookupstenant", 1, 10000, 20, offsetof(struct settings, lookups_tenant)},
  {"lookups", 1, 100000, 500, offsetof(struct settings, lookups)},
  {"timeoutterm", 0, 3600, 20, offsetof(struct settings, stop_seconds)},
};

/*
 * RFC 5321 4.5.3.2: what a client must wait at the least, which is what we wait.
 * control/timeoutremote stands for those replies that have no file of their own.
 */
static const struct timeout {
  const char *name;
  uint32_t missing;
  bool reply;
  size_t offset;
} timeouts[] = {
  {"timeoutconnect", 60, false, offsetof(struct work_timeouts, connect)},
  {"timeoutbanner", 300, true, offsetof(struct work_timeouts, banner)}, /* 4.5.3.2.1 */
  {"timeouthelo", 300, true, offsetof(struct work_timeouts, helo)},
  {"timeoutmail", 300, true, offsetof(struct work_timeouts, mail)},     /* 4.5.3.2.2 */
  {"timeoutrcpt", 300, true, offsetof(struct work_timeouts, rcpt)},     /* 4.5.3.2.3 */
  {"timeoutdata", 120, true, offsetof(struct work_timeouts, data)},     /* 4.5.3.2.4 */
  {"timeoutblock", 180, true, offsetof(struct work_timeouts, block)},   /* 4.5.3.2.5 */
  {"timeoutdot", 600, true, offsetof(struct work_timeouts, dot)},       /* 4.5.3.2.6 */
  {"timeoutquit", 5, false, offsetof(struct work_timeouts, quit)},
  {"timeoutidle", 5, false, offsetof(struct work_timeouts, idle)},
};

static bool ok(enum control_result result)
{
  return result == CONTROL_OK || result == CONTROL_MISSING;
}

static int read_numbers(struct settings *s)
{
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    const struct number *n = &numbers[i];
    uint64_t value = n->missing;
    if (!ok(control_u64(n->name, n->min, n->max, &value))) {
      return -1;
    }
    memcpy((char *)s + n->offset, &value, sizeof value);
  }
  return 0;
}

static int read_timeouts(struct work_timeouts *t)
{
  uint64_t remote = 0;

  if (!ok(control_u64("timeoutremote", 1, 86400, &remote))) {
    return -1;
  }
  for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
    uint64_t value = timeouts[i].reply && remote ? remote : timeouts[i].missing;
    if (!ok(control_u64(timeouts[i].name, 1, 86400, &value))) {
      return -1;
    }
    uint32_t seconds = (uint32_t)value;
    memcpy((char *)t + timeouts[i].offset, &seconds, sizeof seconds);
  }
  return 0;
}

static int read_retry(struct settings *s)
{
  static const uint64_t missing[] = {300, 600, 1200, 2400, 3600};

  switch (control_u64_list("retry", 1, YEAR, s->retry, SETTINGS_RETRY_MAX, &s->retry_count)) {
  case CONTROL_OK:
    if (s->retry_count > 0) {
      return 0;
    }
    control_fail("retry", 1, "no number in it");
    return -1;
  case CONTROL_MISSING:
    memcpy(s->retry, missing, sizeof missing);
    s->retry_count = sizeof missing / sizeof *missing;
    return 0;
  default:
    return -1;
  }
}

/* relay-bounce, which sends there, reads it for itself; an address that it would refuse is refused. */
static int read_double_bounces(struct settings *s)
{
  char line[ADDRESS_SIZE], to[ADDRESS_SIZE];
  enum control_result result = control_line("doublebounceto", line, sizeof line);

  s->double_bounces = result == CONTROL_OK;
  if (result == CONTROL_OK &&
      (address_parse(line, strlen(line), false, to) != ADDRESS_OK || !address_domain(to))) {
    control_fail("doublebounceto", 1, "not an address with a domain: %s", line);
    return -1;
  }
  return ok(result) ? 0 : -1;
}

static int read_names(struct settings *s)
{
  if (!ok(control_me(s->me, sizeof s->me))) {
    return -1;
  }
  memcpy(s->helo, s->me, sizeof s->helo);
  enum control_result result = control_line("helohost", s->helo, sizeof s->helo);
  if (!ok(result)) {
    return -1;
  }
  if (result == CONTROL_OK && !address_domain_valid(s->helo, strlen(s->helo), false)) {
    control_fail("helohost", 1, "not a domain: %s", s->helo);
    return -1;
  }
  return ok(result) ? read_double_bounces(s) : -1;
}

int settings_read(struct settings *s)
{
  memset(s, 0, sizeof *s);
  smtproutes_init(&s->smtproutes);
  sitemap_init(&s->sitemap);
  replies_init(&s->replies);
  sourcelist_init(&s->sources);
  if (read_names(s) || read_numbers(s) || read_timeouts(&s->timeouts) || read_retry(s) ||
      !ok(smtproutes_read(&s->smtproutes)) || !ok(sitemap_read(&s->sitemap)) ||
      !ok(replies_read(&s->replies)) || !ok(sourcelist_read(&s->sources))) {
    settings_free(s);
    return -1;
  }
  if (s->window_initial > s->site_connections) {
    s->window_initial = s->site_connections;
  }
  if (s->probe_max < s->probe_first) {
    s->probe_max = s->probe_first;
  }
  return 0;
}

void settings_free(struct settings *s)
{
  smtproutes_free(&s->smtproutes);
  sitemap_free(&s->sitemap);
  replies_free(&s->replies);
  sourcelist_free(&s->sources);
}

int64_t settings_retry_ms(const struct settings *s, uint32_t attempts, uint32_t random)
{
  size_t i = attempts > 0 ? attempts - 1 : 0;
  int64_t ms = (int64_t)s->retry[i < s->retry_count ? i : s->retry_count - 1] * 1000;

  return ms / 10 * 9 + (int64_t)(random % (uint64_t)(ms / 5 + 1));
}
