#ifndef LANE_H
#define LANE_H

#include "list.h"
#include "scheduler.h"
#include "timer.h"
#include "verdict.h"
#include "window.h"

/*
 * A site is where mail really goes: a set of MX hosts, or a provider. A lane is
 * a site as seen from one source address: what an MX counts and what it gets
 * angry at. A lane has the window, the connections and the flows.
 *
 * When no connection can be had, the lane is failing: its recipients stay
 * ready, no attempt of theirs is spent, and one connection at a time probes,
 * ever more seldom. When a probe is greeted, all flows at once. For the
 * recipients a failure of the lane counts as an attempt that failed: failed_at
 * is compared with the time since which they have been ready.
 */
struct site {
  struct list_node all;
  struct list_node lanes;
  char *key;
  uint32_t users; /* lanes and domains */
  bool held;
  bool shared; /* named in control/sites: its domains have hosts of their own */
  char name[];
};

struct lane {
  struct timer timer; /* the probe; or, when unused, the end */
  struct list_node in_site;
  struct site *site;
  struct list_node round; /* flows that may have a turn */
  struct list_node run;   /* in the line of lanes that can start something */
  struct list_node idle;  /* workers, the last used first */
  struct window window;
  uint32_t ready;       /* recipients in all flows: lane_count() */
  uint32_t tenants;     /* flows */
  uint32_t open;        /* workers, from their being asked for to their end */
  uint32_t idle_count;
  uint32_t established; /* of them, greeted and not ending */
  uint32_t active;      /* jobs */
  uint32_t users;       /* flows, workers, jobs */
  uint16_t source;
  bool failing;
  bool blocked;       /* failing by a fault of our own, not of the site's */
  bool full;          /* all of its connections exist, none of them fits: wait for an end */
  uint32_t failures;  /* in a row */
  uint32_t generation; /* of what its source stands for: departure.c */
  uint32_t failed_at; /* sched_stamp() of the last one, 0: never */
  int64_t probe_at;
  struct outcome *trouble; /* of the last failure, NULL: none yet */
};

extern struct list sites;

void lane_start(void);

/* One use is counted for the caller. */
struct site *site_get(const char *key, const char *name, bool shared);
void site_release(struct site *site);

struct lane *lane_get(struct site *site, uint16_t source);
void lane_use(struct lane *lane);
void lane_release(struct lane *lane);

/* Could it start something now, as far as it alone is concerned? */
bool lane_can_start(const struct lane *lane);

/* Something has changed: if it can start, it gets in line. */
void lane_wake(struct lane *lane);

/*
 * Starts what can be started, a job for each lane in turn. start returns false
 * when no lane can start anything for now (no worker is free). True: there is
 * more to start in the next turn.
 */
bool lanes_run(bool (*start)(struct lane *lane));

/* No connection was had. True if the lane is failing now; false: others work, it has shrunk. */
bool lane_failed(struct lane *lane, const struct outcome *outcome);
/* No connection can be tried, by a fault of our own: the lane is failing, looked at as seldom. */
void lane_blocked(struct lane *lane, const struct outcome *outcome);
void lane_greeted(struct lane *lane);

/* So many recipients have come to its flows (negative: have left them). */
void lane_count(struct lane *lane, int change);

/* One of its connections has ended or become idle. */
void lane_room(struct lane *lane);

/* An operator's retry: probe now. */
void lane_retry(struct lane *lane);

#endif
