/* The binary min-heap of timers and due times. */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>

#define HEAP_FIRST_CAP 16

void heap_init(struct heap *h, void (*moved)(void *item, uint32_t place))
{
  *h = (struct heap){.moved = moved};
}

void heap_free(struct heap *h)
{
  free(h->entries);
  *h = (struct heap){.moved = h->moved};
}

static void put(struct heap *h, uint32_t place, struct heap_entry entry)
{
  h->entries[place] = entry;
  if (h->moved) {
    h->moved(entry.item, place);
  }
}

/* Entry belongs at place or somewhere above or below it; place is a hole. */
static void settle(struct heap *h, uint32_t place, struct heap_entry entry)
{
  while (place > 0) {
    uint32_t parent = (place - 1) / 2;
    if (h->entries[parent].when <= entry.when) {
      break;
    }
    put(h, place, h->entries[parent]);
    place = parent;
  }
  for (;;) {
    uint64_t child = 2 * (uint64_t)place + 1; /* wider: 2 * place may not fit 32 bits */
    if (child >= h->count) {
      break;
    }
    if (child + 1 < h->count && h->entries[child + 1].when < h->entries[child].when) {
      child++;
    }
    if (entry.when <= h->entries[child].when) {
      break;
    }
    put(h, place, h->entries[child]);
    place = (uint32_t)child;
  }
  put(h, place, entry);
}

static int grow(struct heap *h)
{
  uint64_t cap = h->cap ? 2 * (uint64_t)h->cap : HEAP_FIRST_CAP;

  /* Places stay below HEAP_NOWHERE. */
  cap = cap > HEAP_NOWHERE ? HEAP_NOWHERE : cap;
  if (h->count == HEAP_NOWHERE || cap > SIZE_MAX / sizeof *h->entries) {
    errno = ENOMEM;
    return -1;
  }
  struct heap_entry *entries = realloc(h->entries, (size_t)cap * sizeof *entries);
  if (!entries) {
    errno = ENOMEM;
    return -1;
  }
  h->entries = entries;
  h->cap = (uint32_t)cap;
  return 0;
}

int heap_insert(struct heap *h, int64_t when, void *item)
{
  if (h->count == h->cap && grow(h) < 0) {
    return -1;
  }
  settle(h, h->count++, (struct heap_entry){.when = when, .item = item});
  return 0;
}

void heap_change(struct heap *h, uint32_t place, int64_t when)
{
  if (place >= h->count) {
    return; /* HEAP_NOWHERE too */
  }
  settle(h, place, (struct heap_entry){.when = when, .item = h->entries[place].item});
}

void heap_remove(struct heap *h, uint32_t place)
{
  if (place >= h->count) {
    return;
  }
  void *item = h->entries[place].item;
  struct heap_entry last = h->entries[--h->count];
  if (place < h->count) {
    settle(h, place, last);
  }
  if (h->moved) {
    h->moved(item, HEAP_NOWHERE);
  }
}

const struct heap_entry *heap_first(const struct heap *h)
{
  return h->count ? &h->entries[0] : NULL;
}
