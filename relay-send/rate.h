#ifndef RATE_H
#define RATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many transactions a minute a lane may start, once a site has said "too
 * fast": a token bucket (kept as the time at which it is full again) of some
 * seconds' worth. Most limits count in minutes, so the first guess is three
 * quarters of what was delivered in the minute before. Each further complaint
 * takes a quarter off; without one it grows by a tenth a minute while it binds,
 * and is forgotten after an hour in which it did not. After a complaint nothing
 * starts for a while, doubled while nothing was delivered in between. Times are
 * milliseconds of clock_monotonic_ms().
 */
#define RATE_MINUTE_MS 60000
#define RATE_FORGET_MS 3600000
#define RATE_BURST_S 5 /* seconds' worth that may go at once */
#define RATE_MOST 600000 /* a minute: above this it does not bind */

struct rate {
  uint32_t per_minute;    /* 0: none learnt */
  uint32_t row;           /* complaints since the last delivery */
  uint32_t count, before; /* deliveries in this minute, and in the one before */
  int64_t minute;         /* when this one began */
  int64_t full_us;        /* the bucket is full then, microseconds */
  int64_t hold;           /* nothing starts before */
  int64_t changed;        /* the last change of per_minute */
  bool bound;             /* since then something had to wait for it */
};

/* May a transaction start now? */
bool rate_open(const struct rate *r, int64_t now);
/* When the next one may; now if one may. */
int64_t rate_next(const struct rate *r, int64_t now);
void rate_started(struct rate *r, int64_t now);

/* A message was taken. */
void rate_delivered(struct rate *r, int64_t now);

/* The site has said that it goes too fast. first and most: milliseconds of the pause. */
void rate_trouble(struct rate *r, int64_t now, int64_t first, int64_t most);

/* An operator's retry: the pause is over. */
void rate_resume(struct rate *r, int64_t now);

#endif
