#ifndef SETTINGS_H
#define SETTINGS_H

#include "replies.h"
#include "sitemap.h"
#include "smtproutes.h"
#include "sourcelist.h"
#include "work.h"

/*
 * What control/ says to relay-send. Read at start, where anything malformed is
 * fatal, and again on HUP, where the old values stay then.
 */
#define SETTINGS_RETRY_MAX 100

struct settings {
  char me[256];
  char helo[256];              /* control/helohost, else me */
  uint64_t retry[SETTINGS_RETRY_MAX]; /* seconds between attempts; the last one repeats */
  size_t retry_count;
  uint64_t lifetime;           /* seconds since arrival */
  uint64_t delaywarn;          /* seconds until the delay DSN, 0: none */
  uint64_t workers;            /* control/concurrencyremote: connections over all */
  uint64_t site_connections;   /* control/concurrencysite: connections of a lane at the most */
  uint64_t window_initial;
  uint64_t connection_messages; /* transactions on one connection */
  uint64_t probe_first, probe_max; /* seconds: a lane or domain in trouble is tried again */
  uint64_t ceiling_first, ceiling_most; /* seconds: one connection above a learnt ceiling is tried */
  uint64_t pause_first, pause_most; /* seconds: a lane that is blocked is tried again */
  uint64_t lookups_tenant, lookups; /* DNS questions in flight, of a tenant and over all */
  uint64_t stop_seconds;       /* control/timeoutterm */
  bool double_bounces;         /* control/doublebounceto exists */
  struct work_timeouts timeouts;
  struct smtproutes smtproutes;
  struct sitemap sitemap;
  struct replies replies;
  struct sourcelist sources;
};

/* 0, or -1 with control_error(); s is then freed. */
int settings_read(struct settings *s);
void settings_free(struct settings *s);

/*
 * Milliseconds until the next attempt after attempts have failed; random (any
 * number) spreads it over a tenth either way, so that what failed together
 * does not come again together.
 */
int64_t settings_retry_ms(const struct settings *s, uint32_t attempts, uint32_t random);

#endif
