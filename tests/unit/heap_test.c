/* The heap against a model: an array that is searched from end to end. */
#include "heap.h"
#include "check.h"

#include <stdlib.h>

#define ITEMS 300
#define STEPS 60000

struct item {
  uint32_t place;
  int64_t when;
};

static struct item items[ITEMS];
static uint64_t state = 88172645463325252u;

static uint32_t any(uint32_t below)
{
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32) % below;
}

static void moved(void *item, uint32_t place)
{
  ((struct item *)item)->place = place;
}

/* Every item knows its place, the order holds, the first is the model's earliest. */
static int faults(const struct heap *h)
{
  int64_t earliest = INT64_MAX;
  uint32_t count = 0;
  int wrong = 0;

  for (int i = 0; i < ITEMS; i++) {
    if (items[i].place != HEAP_NOWHERE) {
      count++;
      wrong += items[i].place >= h->count || h->entries[items[i].place].item != &items[i] ||
               h->entries[items[i].place].when != items[i].when;
      earliest = items[i].when < earliest ? items[i].when : earliest;
    }
  }
  const struct heap_entry *first = heap_first(h);
  wrong += count != h->count || (count == 0) != (first == NULL);
  wrong += first && first->when != earliest;
  for (uint32_t i = 1; i < h->count; i++) {
    wrong += h->entries[i].when < h->entries[(i - 1) / 2].when;
  }
  return wrong;
}

static void step(struct heap *h, uint32_t span)
{
  struct item *item = &items[any(ITEMS)];
  int64_t when = (int64_t)any(span) - (int64_t)(span / 2); /* many are equal */

  if (item->place == HEAP_NOWHERE) {
    item->when = when;
    CHECK_INT(heap_insert(h, when, item), 0);
  } else if (any(2)) {
    item->when = when;
    heap_change(h, item->place, when);
  } else {
    heap_remove(h, item->place);
    CHECK_INT(item->place, HEAP_NOWHERE);
  }
}

static void test_random(uint32_t span)
{
  struct heap h;
  int wrong = 0;

  heap_init(&h, moved);
  for (int i = 0; i < ITEMS; i++) {
    items[i].place = HEAP_NOWHERE;
  }
  for (int i = 0; i < STEPS / 4; i++) {
    step(&h, span);
    wrong += faults(&h);
  }
  CHECK_INT(wrong, 0);

  int64_t last = INT64_MIN;
  while (heap_first(&h)) {
    struct heap_entry first = *heap_first(&h);
    wrong += first.when < last;
    last = first.when;
    heap_remove(&h, 0);
    wrong += faults(&h);
  }
  CHECK_INT(wrong, 0);
  heap_free(&h);
}

static void test_edges(void)
{
  struct heap h;
  struct item a = {0};

  heap_init(&h, moved);
  CHECK(heap_first(&h) == NULL);
  heap_remove(&h, 0);
  heap_change(&h, HEAP_NOWHERE, 1);
  CHECK_INT(heap_insert(&h, INT64_MIN, &a), 0);
  heap_remove(&h, HEAP_NOWHERE);
  heap_change(&h, 1, 1);
  CHECK_INT(h.count, 1);
  CHECK(heap_first(&h)->when == INT64_MIN && heap_first(&h)->item == &a);
  heap_free(&h);
  CHECK(heap_first(&h) == NULL);
  CHECK_INT(heap_insert(&h, INT64_MAX, &a), 0);
  heap_free(&h);
}

int main(void)
{
  test_random(2);
  test_random(50);
  test_random(1000000);
  test_edges();
  return check_done("heap");
}
