#include "lane.h"

#include "hash.h"
#include "hold.h"
#include "memory.h"
#include "sources.h"

#include <stdlib.h>
#include <string.h>

#define LANE_KEEP_MS 3600000 /* what a window has learnt outlives its last mail by this */
#define LANE_SHARED_FAILURES 5 /* in a row, before a provider as a whole is failing */
#define LANE_RUN_TURN 200      /* jobs started in a turn of the loop */

struct list sites;
static struct hash by_key;
static struct list_node line;

static const void *key(const void *item, size_t *len)
{
  const struct site *site = item;

  *len = strlen(site->key);
  return site->key;
}

static void lane_free(struct lane *lane)
{
  struct site *site = lane->site;

  timer_clear(&lane->timer);
  list_unlink(&lane->in_site);
  list_unlink(&lane->run);
  free(lane->trouble);
  free(lane);
  site_release(site);
}

static void expired(struct timer *timer)
{
  struct lane *lane = LIST_ITEM(timer, struct lane, timer);

  if (lane->users == 0) {
    lane_free(lane);
  } else {
    lane_wake(lane);
  }
}

void lane_start(void)
{
  list_init(&sites);
  list_head_init(&line);
  hash_init(&by_key, key);
  timer_handler(TIMER_LANE, expired);
}

struct site *site_get(const char *site_key, const char *name, bool shared)
{
  struct site *site = hash_find(&by_key, site_key, strlen(site_key));

  if (!site) {
    site = memory_get(sizeof *site + strlen(name) + 1);
    site->key = memory_copy(site_key);
    strcpy(site->name, name);
    site->shared = shared;
    site->held = hold_is("site", name);
    list_head_init(&site->lanes);
    if (hash_insert(&by_key, site) == -1) {
      memory_out();
    }
    list_append(&sites, &site->all);
  }
  site->users++;
  return site;
}

void site_release(struct site *site)
{
  if (--site->users == 0) {
    list_remove(&sites, &site->all);
    hash_remove(&by_key, site->key, strlen(site->key));
    free(site->key);
    free(site);
  }
}

/* A site has as many lanes as sources are in use for it: few. */
struct lane *lane_get(struct site *site, uint16_t source)
{
  struct list_node *node;
  struct lane *lane;

  for (node = site->lanes.next; node != &site->lanes; node = node->next) {
    lane = LIST_ITEM(node, struct lane, in_site);
    if (lane->source == source) {
      return lane;
    }
  }
  lane = memory_get(sizeof *lane);
  timer_init(&lane->timer, TIMER_LANE);
  lane->site = site;
  lane->source = source;
  site->users++;
  list_head_init(&lane->round);
  list_head_init(&lane->run);
  list_head_init(&lane->idle);
  list_link(&site->lanes, &lane->in_site);
  window_init(&lane->window, (uint32_t)sched.settings.window_initial,
              (uint32_t)sched.settings.site_connections);
  timer_set(&lane->timer, sched.now + LANE_KEEP_MS);
  return lane;
}

void lane_use(struct lane *lane)
{
  lane->users++;
}

void lane_release(struct lane *lane)
{
  if (--lane->users == 0) {
    timer_set(&lane->timer, sched.now + LANE_KEEP_MS);
  }
}

/* sched.backing_off is kept with each change, so that relay-ctl stat need not visit the lanes. */
void lane_count(struct lane *lane, int change)
{
  lane->ready += (uint32_t)change;
  if (lane->failing) {
    sched.backing_off += (uint64_t)change;
  }
}

static void set_failing(struct lane *lane, bool failing)
{
  if (lane->failing != failing) {
    lane->failing = failing;
    sched.backing_off += failing ? lane->ready : -(uint64_t)lane->ready;
  }
}

bool lane_can_start(const struct lane *lane)
{
  if (list_head_empty(&lane->round) || lane->site->held) {
    return false;
  }
  if (lane->failing) {
    return lane->active == 0 && sched.now >= lane->probe_at;
  }
  return lane->active < lane->window.limit && !lane->full;
}

void lane_room(struct lane *lane)
{
  lane->full = false;
  lane_wake(lane);
}

void lane_wake(struct lane *lane)
{
  if (list_head_empty(&lane->run) && lane_can_start(lane)) {
    list_link(&line, &lane->run);
  }
}

bool lanes_run(bool (*start)(struct lane *lane))
{
  for (unsigned n = 0; n < LANE_RUN_TURN && !list_head_empty(&line); n++) {
    struct lane *lane = LIST_ITEM(line.next, struct lane, run);
    if (!sched_may_start()) {
      return false;
    }
    list_unlink(&lane->run);
    if (!lane_can_start(lane)) {
      continue;
    }
    lane_use(lane);
    bool go_on = start(lane);
    if (!go_on) {
      /* Its turn is not over: it stays the first in line. */
      list_link(line.next, &lane->run);
    }
    lane_wake(lane);
    lane_release(lane);
    if (!go_on) {
      return false;
    }
  }
  return !list_head_empty(&line);
}

/* Doubled for each failure in a row, with a jitter of a tenth either way. */
static int64_t backoff(uint32_t failures)
{
  uint64_t ms = sched.settings.probe_first * 1000, most = sched.settings.probe_max * 1000;

  for (uint32_t i = 1; i < failures && ms < most; i++) {
    ms *= 2;
  }
  ms = ms < most ? ms : most;
  return (int64_t)(ms / 10 * 9 + sched_random() % (ms / 5 + 1));
}

static void remember(struct lane *lane, const struct outcome *outcome)
{
  lane->failed_at = sched_stamp();
  if (!lane->trouble) {
    lane->trouble = memory_get(sizeof *lane->trouble);
  }
  *lane->trouble = *outcome;
}

static void back_off(struct lane *lane, bool blocked)
{
  set_failing(lane, true);
  lane->blocked = blocked;
  lane->probe_at = sched.now + backoff(lane->failures);
  timer_set(&lane->timer, lane->probe_at);
  loglines_printf(&sched.log, '=',
                  "trouble site=%s source=%s kind=%s failures=%u retry=%llds waiting=%u "
                  "reply=\"%s\"",
                  lane->site->name, sources_name(lane->source), blocked ? "source" : "down",
                  lane->failures, (long long)(lane->probe_at - sched.now) / 1000, lane->ready,
                  lane->trouble->reply);
}

void lane_blocked(struct lane *lane, const struct outcome *outcome)
{
  remember(lane, outcome);
  lane->failures++;
  back_off(lane, true);
}

bool lane_failed(struct lane *lane, const struct outcome *outcome)
{
  remember(lane, outcome);
  if (lane->established > 0) {
    window_refused(&lane->window, lane->established);
    loglines_printf(&sched.log, '=', "trouble site=%s source=%s kind=refused window=%u reply=\"%s\"",
                    lane->site->name, sources_name(lane->source), lane->window.limit,
                    outcome->reply);
    return false;
  }
  lane->failures++;
  if (lane->site->shared && lane->failures < LANE_SHARED_FAILURES) {
    return false; /* one domain's host says little about a provider */
  }
  back_off(lane, false);
  return true;
}

void lane_greeted(struct lane *lane)
{
  if (lane->failing) {
    loglines_printf(&sched.log, '=', "site site=%s source=%s kind=up failures=%u waiting=%u",
                    lane->site->name, sources_name(lane->source), lane->failures, lane->ready);
  }
  set_failing(lane, false);
  lane->failures = 0;
  lane_wake(lane);
}

void lane_retry(struct lane *lane)
{
  if (lane->failing) {
    lane->probe_at = sched.now;
    timer_set(&lane->timer, sched.now);
  }
}
