#ifndef SCHEDULER_H
#define SCHEDULER_H

#include "loglines.h"
#include "loop.h"
#include "settings.h"

/*
 * What all parts of the scheduler share. One thread, so no locks; "now" is
 * read once a turn of the loop.
 */
enum rcpt_where {
  RCPT_AT_LOOKUP,  /* waits at its domain for DNS */
  RCPT_AT_READY,   /* in a flow's queue, waits for a connection */
  RCPT_AT_ACTIVE,  /* in a job */
  RCPT_AT_WAITING, /* until its timer */
  RCPT_AT_HELD,    /* by an operator */
  RCPT_AT_DUE,     /* failed or relayed, its DSN is to be asked for */
  RCPT_AT_NOTICE,  /* its DSN is being made */
  RCPT_AT_COMMIT,  /* of through: its attempts wait until it is durable */
  RCPT_AT_END,
  RCPT_PLACES
};

struct sched {
  struct loop loop;
  struct loglines log;
  struct settings settings;
  int64_t now;  /* clock_monotonic_ms() */
  int64_t wall; /* clock_wall_ms() */
  int64_t started;
  bool told;     /* relay-queue has told all of its queue */
  bool paused;   /* relay-queue cannot write results */
  bool stopping; /* no new work */
  int stop_status;
  char old_settings[512]; /* why control/ was not taken at the last HUP; "": it was */
  uint64_t messages;
  uint64_t places[RCPT_PLACES]; /* recipients by place */
  uint64_t backing_off; /* of those at RCPT_AT_READY: whose lane is failing */
  uint64_t delivered, deferred, failed; /* since the start */
};

extern struct sched sched;

/* Reads now and wall. */
void sched_clock(void);

/* May attempts start at all? */
bool sched_may_start(void);

/* Must what causes results stop for a while? */
bool sched_results_full(void);

uint32_t sched_random(void);

/* Seconds since the start, for stamps that must be small. Never 0. */
uint32_t sched_stamp(void);

#endif
