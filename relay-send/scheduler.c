#include "scheduler.h"

#include "clock.h"
#include "dispatch_client.h"

struct sched sched;

void sched_clock(void)
{
  sched.now = clock_monotonic_ms();
  sched.wall = clock_wall_ms();
}

bool sched_may_start(void)
{
  return sched.told && !sched.paused && !sched.stopping && !dispatch_client_full();
}

bool sched_results_full(void)
{
  return dispatch_client_full();
}

/* xorshift32: for jitter only. */
uint32_t sched_random(void)
{
  static uint32_t state;

  if (state == 0) {
    state = (uint32_t)clock_wall_ms() | 1;
  }
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

uint32_t sched_stamp(void)
{
  return (uint32_t)((sched.now - sched.started) / 1000) + 1;
}
