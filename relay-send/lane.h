#ifndef LANE_H
#define LANE_H

#include "list.h"
#include "rate.h"
#include "scheduler.h"
#include "slow.h"
#include "timer.h"
#include "trouble.h"
#include "verdict.h"
#include "window.h"

/*
 * A site is where mail really goes: a set of MX hosts, or a provider. A lane is
 * a site as seen from one source address: what an MX counts and what it gets
 * angry at. A lane has the connections and the flows, and what has been learnt
 * of the site (learn.h): window, rate, usual times, pause.
 *
 * When no connection can be had, the lane is failing: its recipients stay
 * ready, no attempt of theirs is spent, and one connection at a time probes,
 * ever more seldom. When a probe is greeted, all flows at once. For the
 * recipients a failure of the lane counts as an attempt that failed: failed_at
 * is compared with the time since which they have been ready. A lane that is
 * paused, because our address is thought ill of, is failing in the same way,
 * but it takes a reply about a message to end that, not a greeting.
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

/* The last trouble of a kind, for people. */
struct lane_trouble {
  char *reply; /* NULL: never */
  int64_t at;  /* sched.wall */
};

struct lane {
  struct timer timer; /* whatever may start something next; or, when unused, the end */
  struct list_node in_site;
  struct site *site;
  struct list_node round; /* flows that may have a turn */
  struct list_node run;   /* in the line of lanes that can start something */
  struct list_node idle;  /* workers, the last used first */
  struct window window;
  struct rate rate;
  struct slow slow;
  uint32_t typical_ms; /* of a transaction, smoothed; 0: none yet */
  uint32_t ready;      /* recipients in all flows: lane_count() */
  uint32_t tenants;    /* flows */
  uint32_t open;       /* workers, from their being asked for to their end */
  uint32_t idle_count;
  uint32_t established; /* of them, greeted and not ending */
  uint32_t given;       /* of them, greeted and not gone: what the site counts */
  uint32_t active;      /* jobs */
  uint32_t users;       /* flows, workers, jobs */
  uint16_t source;
  bool failing;
  bool paused;         /* and it is about our reputation */
  bool full;           /* all of its connections exist, none of them fits: wait for an end */
  uint32_t failures;   /* in a row */
  uint32_t generation; /* of what its source stands for: departure.c */
  uint32_t failed_at;  /* sched_stamp() of the last one, 0: never */
  uint32_t pauses;     /* in a row */
  uint32_t blamed;     /* replies about our reputation since the last delivery */
  int64_t probe_at;
  int64_t delivered_at; /* the last time; 0: never */
  int64_t unused_at;
  struct outcome *trouble; /* why it is failing; NULL: it never was */
  enum trouble last;       /* the last kind */
  struct lane_trouble troubles[TROUBLE_KINDS];
};

extern struct list sites;

void lane_start(void);

/* One use is counted for the caller. */
struct site *site_get(const char *key, const char *name, bool shared);
void site_release(struct site *site);

struct lane *lane_get(struct site *site, uint16_t source);  /* made if new */
struct lane *lane_find(struct site *site, uint16_t source); /* NULL: nothing is known of it */
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

/* A job of it begins. */
void lane_started(struct lane *lane);

/* Sets its timer to what may let it start something next. */
void lane_plan(struct lane *lane);

void lane_set_failing(struct lane *lane, bool failing);

/* So many recipients have come to its flows (negative: have left them). */
void lane_count(struct lane *lane, int change);

/* One of its connections has ended or become idle. */
void lane_room(struct lane *lane);

/* An operator's retry: probe now. */
void lane_retry(struct lane *lane);

#endif
