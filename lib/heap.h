#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A binary min-heap of (time, item). The heap tells each item its place, so
 * that it can be moved or removed in O(log n). 16 bytes an entry.
 */
#define HEAP_NOWHERE UINT32_MAX

struct heap_entry {
  int64_t when;
  void *item;
};

struct heap {
  struct heap_entry *entries;
  uint32_t count, cap;
  void (*moved)(void *item, uint32_t place); /* place may be HEAP_NOWHERE: removed */
};

void heap_init(struct heap *h, void (*moved)(void *item, uint32_t place));
void heap_free(struct heap *h);
int heap_insert(struct heap *h, int64_t when, void *item); /* 0 or -1 (ENOMEM) */
void heap_change(struct heap *h, uint32_t place, int64_t when);
void heap_remove(struct heap *h, uint32_t place);
/* The earliest, or NULL. */
const struct heap_entry *heap_first(const struct heap *h);

#endif
