#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many connections a lane may have. It grows while deliveries succeed: by
 * one for each, and for each connection that is greeted, until the first
 * trouble, then by one for each windowful; never far beyond what the site has
 * given at the same time, so that a site with a limit refuses few at once.
 * Trouble halves it, once for all that were started before the last halving.
 *
 * A connection that is refused while others live shows the site's ceiling: what
 * it has given by then. The window stays there, and after raise_first one above
 * it is tried: later and later while that is refused, up to raise_most, sooner
 * while it is given. A refusal below what the site has given before, or one that
 * says nothing about connections, may be a mishap: it only delays the next one,
 * and counts when that is refused, too. At a known ceiling such a mishap shows a
 * site that counts a connection for longer than we do; from then on the window
 * stays one below. Times are milliseconds of clock_monotonic_ms().
 */
#define WINDOW_MARGIN_FROM 5   /* of a smaller ceiling one connection is too much to give away */
#define WINDOW_REOPEN_MS 1000  /* after a refusal, doubled for each more that teaches nothing */
#define WINDOW_REOPEN_MOST 64000

struct window {
  uint32_t limit;
  uint32_t most;    /* never above this: control/concurrencysite */
  uint32_t steady;  /* above this it grows slowly; 0: no trouble seen yet */
  uint32_t credit;  /* successes since it last grew slowly */
  uint32_t proven;  /* so many were given at the same time, since the last refusal that counted */
  uint32_t ceiling; /* learnt: so many are given and no more; 0: not known */
  uint32_t row;     /* refusals in a row that taught nothing */
  bool lingers;     /* the site counts connections that are gone: stay one below the ceiling */
  uint64_t epoch;   /* lessons so far: an attempt remembers the one it started in */
  int64_t raise_first, raise_most; /* milliseconds */
  int64_t raise_after, raise_at;   /* one above the ceiling is tried then */
  int64_t open_at;                 /* no new connection before */
};

/* raise_*: seconds. */
void window_init(struct window *w, uint32_t initial, uint32_t most, uint64_t raise_first,
                 uint64_t raise_most);
void window_set_most(struct window *w, uint32_t most);
void window_set_raise(struct window *w, uint64_t first, uint64_t most);

/* A connection was greeted: the site has now given that many; in_use are busy. True: it has grown. */
bool window_greeted(struct window *w, uint32_t given, uint32_t in_use, int64_t now);

/* A transaction went well while in_use connections, its own too, were busy. True: it has grown. */
bool window_success(struct window *w, uint32_t in_use, int64_t now);

/* A transaction that started in epoch met trouble on its connection. True: it has shrunk. */
bool window_trouble(struct window *w, uint64_t epoch);

/* One that was greeted was too many after all: the site gives only so many. */
void window_doubt(struct window *w, uint32_t given);

/*
 * A connection that started in epoch was refused while the site gives that
 * many. sure: it was told that there are too many. True: a ceiling was learnt.
 */
bool window_refused(struct window *w, uint64_t epoch, uint32_t given, bool sure, int64_t now);

#endif
