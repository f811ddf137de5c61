/* The window of a lane, the heap of timers, lists that are walked while they change. */
#include "heap.h"
#include "list.h"
#include "timer.h"
#include "window.h"

#include "check.h"

#include <stdlib.h>

static void test_window(void)
{
  struct window w;

  window_init(&w, 4, 20);
  CHECK_INT(w.limit, 4);
  CHECK(!window_success(&w, 3)); /* not used: no reason to grow */
  CHECK_INT(w.limit, 4);
  for (int i = 0; i < 100; i++) {
    window_success(&w, w.limit);
  }
  CHECK_INT(w.limit, 20); /* and no further */

  uint64_t epoch = w.epoch;
  window_trouble(&w, epoch);
  CHECK_INT(w.limit, 10);
  window_trouble(&w, epoch); /* another one of the same windowful */
  CHECK_INT(w.limit, 10);
  int successes = 0;
  do {
    successes++;
  } while (!window_success(&w, w.limit));
  CHECK_INT(successes, 10); /* slowly: one a windowful */
  CHECK_INT(w.limit, 11);

  window_refused(&w, 3);
  CHECK_INT(w.limit, 3);
  window_refused(&w, 0);
  CHECK_INT(w.limit, 1);
  window_trouble(&w, w.epoch);
  CHECK_INT(w.limit, 1);
  window_init(&w, 4, 2);
  CHECK_INT(w.limit, 2);
  window_init(&w, 20, 20);
  window_set_most(&w, 5);
  CHECK_INT(w.limit, 5);
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
  test_window();
  test_timer();
  test_list();
  return check_done("send_window");
}
