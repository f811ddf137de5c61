#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

/*
 * Everything that is to happen at a time has a place in one heap: a recipient's
 * next attempt, a lane's probe, a domain's next question, an idle connection's
 * end. A timer is embedded in its owner; one at most is pending for each.
 * Times are milliseconds of clock_monotonic_ms().
 */
enum timer_kind {
  TIMER_RCPT,
  TIMER_DOMAIN,
  TIMER_LANE,
  TIMER_WORKER,
  TIMER_THROUGH,
  TIMER_TLS,
  TIMER_STOP,
  TIMER_CTL,
  TIMER_KINDS
};

struct timer {
  uint32_t place; /* in the heap, HEAP_NOWHERE if not pending */
  uint8_t kind;
  uint8_t mark; /* the owner's own */
};

typedef void timer_expired(struct timer *timer);

void timer_start(void);
void timer_handler(enum timer_kind kind, timer_expired *expired);

void timer_init(struct timer *timer, enum timer_kind kind);
void timer_set(struct timer *timer, int64_t when); /* also moves a pending one */
void timer_clear(struct timer *timer);

/* Expires what is due at now, at most budget of them. */
void timer_run(int64_t now, unsigned budget);

/* Milliseconds until the first is due, 0 if one is, -1 if none is pending. */
int timer_wait(int64_t now);

#endif
