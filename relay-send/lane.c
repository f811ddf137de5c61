#include "lane.h"

#include "hash.h"
#include "hold.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#define LANE_KEEP_MS 3600000 /* what a window has learnt outlives its last mail by this */
#define LANE_RUN_TURN 200    /* jobs started in a turn of the loop */

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
  for (int kind = 0; kind < TROUBLE_KINDS; kind++) {
    free(lane->troubles[kind].reply);
  }
  free(lane);
  site_release(site);
}

static void expired(struct timer *timer)
{
  struct lane *lane = LIST_ITEM(timer, struct lane, timer);

  if (lane->users == 0) {
    lane_free(lane);
    return;
  }
  lane->full = false;
  lane_wake(lane);
  lane_plan(lane);
}

static int64_t sooner(int64_t a, int64_t b)
{
  return b > sched.now && b < a ? b : a;
}

void lane_plan(struct lane *lane)
{
  int64_t when = INT64_MAX;

  if (lane->users == 0) {
    timer_set(&lane->timer, lane->unused_at + LANE_KEEP_MS);
    return;
  }
  if (lane->failing) {
    when = sooner(when, lane->probe_at);
  }
  when = sooner(when, rate_next(&lane->rate, sched.now));
  when = sooner(when, lane->window.open_at);
  if (when == INT64_MAX) {
    timer_clear(&lane->timer);
  } else {
    timer_set(&lane->timer, when);
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
struct lane *lane_find(struct site *site, uint16_t source)
{
  for (struct list_node *node = site->lanes.next; node != &site->lanes; node = node->next) {
    struct lane *lane = LIST_ITEM(node, struct lane, in_site);
    if (lane->source == source) {
      return lane;
    }
  }
  return NULL;
}

struct lane *lane_get(struct site *site, uint16_t source)
{
  struct lane *lane = lane_find(site, source);

  if (lane) {
    return lane;
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
              (uint32_t)sched.settings.site_connections, sched.settings.ceiling_first,
              sched.settings.ceiling_most);
  lane->unused_at = sched.now;
  lane_plan(lane);
  return lane;
}

void lane_use(struct lane *lane)
{
  if (lane->users++ == 0) {
    lane_plan(lane);
  }
}

void lane_release(struct lane *lane)
{
  if (--lane->users == 0) {
    lane->unused_at = sched.now;
    lane_plan(lane);
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

void lane_set_failing(struct lane *lane, bool failing)
{
  if (lane->failing != failing) {
    lane->failing = failing;
    sched.backing_off += failing ? lane->ready : -(uint64_t)lane->ready;
  }
}

bool lane_can_start(const struct lane *lane)
{
  if (list_head_empty(&lane->round) || lane->site->held || !rate_open(&lane->rate, sched.now)) {
    return false;
  }
  if (lane->failing) {
    return lane->active == 0 && sched.now >= lane->probe_at && !lane->full;
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

void lane_started(struct lane *lane)
{
  rate_started(&lane->rate, sched.now);
  if (!rate_open(&lane->rate, sched.now)) {
    lane_plan(lane);
  }
}

void lane_retry(struct lane *lane)
{
  /* Not to be counted: the operator's impatience must not make the next probe a later one. */
  if (lane->failing && lane->failures > 0) {
    lane->failures--;
  }
  rate_resume(&lane->rate, sched.now);
  lane->window.open_at = 0;
  lane->probe_at = sched.now;
  lane->full = false;
  lane_wake(lane);
  lane_plan(lane);
}
