/* The one heap of everything that is to happen at a time. */
#include "timer.h"

#include "heap.h"
#include "memory.h"

static struct heap heap;
static timer_expired *handlers[TIMER_KINDS];

static void moved(void *item, uint32_t place)
{
  ((struct timer *)item)->place = place;
}

void timer_start(void)
{
  heap_init(&heap, moved);
}

void timer_handler(enum timer_kind kind, timer_expired *expired)
{
  handlers[kind] = expired;
}

void timer_init(struct timer *timer, enum timer_kind kind)
{
  timer->place = HEAP_NOWHERE;
  timer->kind = (uint8_t)kind;
  timer->mark = 0;
}

void timer_set(struct timer *timer, int64_t when)
{
  if (timer->place != HEAP_NOWHERE) {
    heap_change(&heap, timer->place, when);
  } else if (heap_insert(&heap, when, timer) == -1) {
    memory_out();
  }
}

void timer_clear(struct timer *timer)
{
  if (timer->place != HEAP_NOWHERE) {
    heap_remove(&heap, timer->place);
  }
}

void timer_run(int64_t now, unsigned budget)
{
  const struct heap_entry *first = heap_first(&heap);

  for (; first && first->when <= now && budget > 0; budget--) {
    struct timer *timer = first->item;
    heap_remove(&heap, timer->place);
    handlers[timer->kind](timer);
    first = heap_first(&heap);
  }
}

int timer_wait(int64_t now)
{
  const struct heap_entry *first = heap_first(&heap);

  if (!first) {
    return -1;
  }
  if (first->when <= now) {
    return 0;
  }
  return first->when - now > 3600000 ? 3600000 : (int)(first->when - now);
}
