#include "rate.h"

static int64_t interval_us(const struct rate *r)
{
  return (int64_t)RATE_MINUTE_MS * 1000 / r->per_minute;
}

/* What the bucket holds, as a time: at least one transaction's. */
static int64_t burst_us(const struct rate *r)
{
  int64_t one = interval_us(r), burst = RATE_BURST_S * 1000000;

  return burst > one ? burst - one : 0;
}

int64_t rate_next(const struct rate *r, int64_t now)
{
  int64_t next = now > r->hold ? now : r->hold;

  if (r->per_minute > 0) {
    int64_t token = (r->full_us - burst_us(r) + 999) / 1000;
    next = token > next ? token : next;
  }
  return next;
}

bool rate_open(const struct rate *r, int64_t now)
{
  return rate_next(r, now) <= now;
}

void rate_started(struct rate *r, int64_t now)
{
  if (r->per_minute > 0) {
    r->full_us = (r->full_us > now * 1000 ? r->full_us : now * 1000) + interval_us(r);
    r->bound |= !rate_open(r, now);
  }
}

static void turn_minute(struct rate *r, int64_t now)
{
  int64_t passed = (now - r->minute) / RATE_MINUTE_MS;

  if (passed > 0) {
    r->before = passed == 1 ? r->count : 0;
    r->count = 0;
    r->minute = passed == 1 ? r->minute + RATE_MINUTE_MS : now;
  }
}

/* In the sixty seconds before now: the last minute counts for the part of it that they cover. */
static uint32_t measured(const struct rate *r, int64_t now)
{
  int64_t left = RATE_MINUTE_MS - (now - r->minute);

  return r->count + (uint32_t)((int64_t)r->before * left / RATE_MINUTE_MS);
}

static void grow(struct rate *r, int64_t now)
{
  if (r->bound && now - r->changed >= RATE_MINUTE_MS) {
    r->per_minute += r->per_minute / 10 + 1;
    r->changed = now;
    r->bound = false;
  }
  if (r->per_minute > RATE_MOST || (!r->bound && now - r->changed >= RATE_FORGET_MS)) {
    r->per_minute = 0;
  }
}

void rate_delivered(struct rate *r, int64_t now)
{
  turn_minute(r, now);
  r->count++;
  r->row = 0;
  if (r->per_minute > 0) {
    grow(r, now);
  }
}

static void learn(struct rate *r, int64_t now)
{
  uint32_t seen = measured(r, now), rate = r->per_minute;

  if (rate == 0) {
    rate = seen;
  } else if (seen < rate) {
    uint32_t least = rate / 3 * 2; /* so that it is at most halved at a time */
    rate = seen > least ? seen : least;
  }
  if (rate > 0) {
    rate -= rate / 4;
    r->per_minute = rate < RATE_MOST ? rate : RATE_MOST;
  } /* else nothing was delivered yet, and only the pause is known to be needed */
}

void rate_trouble(struct rate *r, int64_t now, int64_t first, int64_t most)
{
  int64_t pause = first;

  turn_minute(r, now);
  if (r->per_minute == 0 || r->row == 0) {
    learn(r, now); /* with nothing delivered since the last complaint there is nothing to learn */
  }
  for (uint32_t i = 0; i < r->row && pause < most; i++) {
    pause *= 2;
  }
  r->row++;
  r->hold = now + (pause < most ? pause : most);
  r->full_us = r->per_minute > 0 ? r->hold * 1000 + burst_us(r) : 0; /* empty then */
  r->changed = r->hold;
  r->bound = false;
}

void rate_resume(struct rate *r, int64_t now)
{
  if (r->hold > now) {
    r->hold = now;
    r->full_us = now * 1000;
  }
}
