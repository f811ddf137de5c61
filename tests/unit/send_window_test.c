/* The window of a lane, the heap of timers, lists that are walked while they change. */
#include "heap.h"
#include "list.h"
#include "timer.h"
#include "window.h"

#include "check.h"

#include <stdlib.h>

#define RAISE 300000 /* milliseconds */

static struct window fresh(uint32_t initial, uint32_t most)
{
  struct window w;

  window_init(&w, initial, most, RAISE / 1000, 3600);
  return w;
}

static void test_growth(void)
{
  struct window w = fresh(4, 20);

  CHECK_INT(w.limit, 4);
  CHECK(!window_success(&w, 3, 0)); /* not used: no reason to grow */
  CHECK_INT(w.limit, 4);
  for (int i = 0; i < 100; i++) {
    window_success(&w, w.limit, 0);
  }
  CHECK_INT(w.limit, 20); /* and no further */

  uint64_t epoch = w.epoch;
  CHECK(window_trouble(&w, epoch));
  CHECK_INT(w.limit, 10);
  CHECK(!window_trouble(&w, epoch)); /* another one of the same windowful */
  CHECK_INT(w.limit, 10);
  int successes = 0;
  do {
    successes++;
    window_success(&w, w.limit - 1, 0); /* what does not use it does not count */
  } while (!window_success(&w, w.limit, 0));
  CHECK_INT(successes, 10); /* slowly: one a windowful */
  CHECK_INT(w.limit, 11);

  w = fresh(4, 2);
  CHECK_INT(w.limit, 2);
  w = fresh(20, 20);
  window_set_most(&w, 5);
  CHECK_INT(w.limit, 5);
  w = fresh(1, 5);
  window_trouble(&w, w.epoch);
  CHECK_INT(w.limit, 1);
}

/* A site that gives limit connections; what is opened beyond them is refused. */
struct site {
  struct window w;
  uint32_t limit, given, refused;
  int64_t now;
};

/* Opens what the window allows, all of it at the same time, then delivers over what was given. */
static void turn(struct site *s)
{
  uint64_t epoch = s->w.epoch;
  uint32_t opened = s->now >= s->w.open_at && s->w.limit > s->given ? s->w.limit - s->given : 0;
  uint32_t busy = s->given + opened;

  for (uint32_t i = 0; i < opened; i++) {
    if (s->given < s->limit) {
      s->given++;
      window_greeted(&s->w, s->given, busy, s->now);
    } else {
      s->refused++;
      window_refused(&s->w, epoch, s->given, true, s->now);
    }
  }
  for (uint32_t i = 0; i < s->given; i++) {
    window_success(&s->w, s->given, s->now);
  }
  while (s->given > s->w.limit) {
    s->given--;
  }
  s->now += 1000;
}

static void test_ceiling(void)
{
  struct site s = {.w = fresh(4, 20), .limit = 10};
  int turns = 0;

  while (s.w.ceiling == 0 && turns < 100) {
    turn(&s);
    turns++;
  }
  CHECK(turns <= 8);
  CHECK(s.refused <= 3); /* the window never runs far ahead of what was given */
  CHECK_INT(s.w.ceiling, 10);
  CHECK_INT(s.w.limit, 10);
  uint32_t refused = s.refused;
  for (int i = 0; i < RAISE / 1000 - 1; i++) {
    turn(&s);
    CHECK(s.given == 10);
  }
  CHECK_INT(s.refused, refused);
  for (int i = 0; i < 20; i++) {
    turn(&s);
  }
  CHECK_INT(s.refused, refused + 1); /* one above was tried, */
  CHECK_INT(s.w.limit, 10);
  CHECK_INT(s.w.raise_after, 2 * RAISE); /* and the next time is later */
  for (int i = 0; i < 2 * RAISE / 1000 - 30; i++) {
    turn(&s);
  }
  CHECK_INT(s.refused, refused + 1);
  s.limit = 15;
  for (int i = 0; i < 3 * RAISE / 1000; i++) {
    turn(&s);
  }
  CHECK_INT(s.w.ceiling, 15); /* sooner and sooner while it is given */
  CHECK(s.w.limit >= 14);
}

static void test_mishaps(void)
{
  struct window w = fresh(4, 20);
  uint64_t epoch;

  for (uint32_t i = 1; i <= 8; i++) {
    window_greeted(&w, i, w.limit, 0);
  }
  epoch = w.epoch;
  CHECK(!window_refused(&w, epoch, 7, true, 1000)); /* it gave 8 before: a connection that lingers */
  CHECK_INT(w.ceiling, 0);
  CHECK_INT(w.open_at, 1000 + WINDOW_REOPEN_MS);
  CHECK(!window_refused(&w, epoch, 7, true, 1000)); /* of the same moment */
  CHECK_INT(w.row, 1);
  window_greeted(&w, 8, 8, 2000);
  CHECK_INT(w.row, 0);
  CHECK_INT(w.open_at, 0);
  CHECK(!window_refused(&w, w.epoch, 8, false, 3000)); /* a time-out, say */
  CHECK(window_refused(&w, w.epoch, 8, false, 5000));  /* and again */
  CHECK_INT(w.ceiling, 8);
  CHECK_INT(w.limit, 8);
  CHECK(!window_refused(&w, w.epoch, 7, true, 6000)); /* one that is gone was still counted: */
  CHECK_INT(w.ceiling, 8);
  CHECK_INT(w.limit, 7); /* one is left to it */
  window_greeted(&w, 7, 7, 7000);
  CHECK(!window_refused(&w, w.epoch, 5, true, 8000));
  CHECK(window_refused(&w, w.epoch, 5, true, 9000)); /* it gives less now */
  CHECK_INT(w.ceiling, 5);
  CHECK_INT(w.limit, 4);

  w = fresh(8, 20);
  window_greeted(&w, 8, 8, 0);
  window_doubt(&w, 7); /* the eighth was greeted, then told that it is one too many */
  CHECK(window_refused(&w, w.epoch, 7, true, 0));
  CHECK_INT(w.ceiling, 7);

  w = fresh(8, 20);
  window_greeted(&w, 3, 8, 0);
  CHECK(window_refused(&w, w.epoch, 3, true, 0));
  CHECK_INT(w.limit, 3); /* of so few none is kept free */
  uint64_t before = w.epoch;
  CHECK(window_trouble(&w, w.epoch));
  CHECK_INT(w.limit, 1);
  CHECK(!window_refused(&w, before, 1, true, 0));
  for (int i = 0; i < 100; i++) {
    window_success(&w, w.limit, 0);
  }
  CHECK_INT(w.limit, 3); /* back to the ceiling, not above it */
}

static int64_t order[1000];
static unsigned expired_count;
static struct {
  struct timer timer;
  int64_t when;
} items[1000];

static void expired(struct timer *timer)
{
  size_t i = (size_t)((char *)timer - (char *)items) / sizeof *items;

  order[expired_count++] = items[i].when;
}

static void test_timer(void)
{
  unsigned removed = 0;

  timer_start();
  timer_handler(TIMER_LANE, expired);
  CHECK_INT(timer_wait(0), -1);
  for (unsigned i = 0; i < 1000; i++) {
    items[i].when = (int64_t)(i * 7919 % 1000) + 1;
    timer_init(&items[i].timer, TIMER_LANE);
    timer_set(&items[i].timer, items[i].when);
  }
  for (unsigned i = 0; i < 1000; i += 3) {
    timer_clear(&items[i].timer);
    timer_clear(&items[i].timer); /* twice does nothing */
    removed++;
  }
  for (unsigned i = 1; i < 1000; i += 3) {
    items[i].when += 500;
    timer_set(&items[i].timer, items[i].when);
  }
  timer_run(0, 10000);
  CHECK_INT(expired_count, 0);
  CHECK(timer_wait(0) > 0);
  timer_run(2000, 10);
  CHECK_INT(expired_count, 10);
  CHECK_INT(timer_wait(2000), 0);
  timer_run(2000, 10000);
  CHECK_INT(expired_count, 1000 - removed);
  for (unsigned i = 1; i < expired_count; i++) {
    CHECK(order[i - 1] <= order[i]);
  }
  CHECK_INT(timer_wait(2000), -1);
}

static void test_list(void)
{
  struct list list;
  struct list_cursor one, two;
  struct list_node nodes[6];

  list_init(&list);
  for (int i = 0; i < 5; i++) {
    list_append(&list, &nodes[i]);
  }
  list_open(&list, &one);
  list_open(&list, &two);
  CHECK(list_step(&list, &one) == &nodes[0]);
  CHECK(list_step(&list, &one) == &nodes[1]);
  list_remove(&list, &nodes[2]); /* where the first cursor stands */
  list_remove(&list, &nodes[0]); /* where the second one does */
  CHECK(list_step(&list, &one) == &nodes[3]);
  CHECK(list_step(&list, &two) == &nodes[1]);
  CHECK(list_step(&list, &one) == &nodes[4]);
  list_append(&list, &nodes[5]); /* behind the first cursor's end */
  CHECK(list_step(&list, &one) == &nodes[5]);
  CHECK(list_step(&list, &one) == NULL);
  list_close(&list, &two);
  list_close(&list, &one);
  CHECK(list.cursors == NULL);
  CHECK_INT(list.count, 4);
}

int main(void)
{
  test_growth();
  test_ceiling();
  test_mishaps();
  test_timer();
  test_list();
  return check_done("send_window");
}
