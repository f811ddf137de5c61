#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How many connections a lane may have. It grows while deliveries succeed: by
 * one for each until the first trouble, then by one for each windowful. It is
 * halved by trouble, once for all that were started before the last halving; a
 * refused connection while others work sets it to the number that work.
 */
struct window {
  uint32_t limit;
  uint32_t most;    /* never above this: control/concurrencysite */
  uint32_t steady;  /* above this it grows slowly; 0: no trouble seen yet */
  uint32_t credit;  /* successes since it last grew slowly */
  uint64_t epoch;   /* halvings so far: an attempt remembers the one it started in */
};

void window_init(struct window *w, uint32_t initial, uint32_t most);
void window_set_most(struct window *w, uint32_t most);

/* A transaction went well while in_use connections, its own too, were busy. True: it has grown. */
bool window_success(struct window *w, uint32_t in_use);

/* A transaction that started in epoch met trouble on its connection. */
void window_trouble(struct window *w, uint64_t epoch);

/* A connection was refused while established others live. */
void window_refused(struct window *w, uint32_t established);

#endif
