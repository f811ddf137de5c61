/*
 * The first memory of a process that lives for one connection: malloc() and its
 * kin, put in front of musl's by the linker (--wrap). musl's gives memory back
 * to the kernel at once and takes it again, and in a virtual machine each mmap,
 * first touch and munmap costs 11 us; here it comes from a static array, whose
 * pages cost one fault each, once. What does not fit comes from musl.
 *
 * Blocks lie one behind the other. A freed one is used again when all behind it
 * are free, too: what a message takes it gives back. Where blocks begin is
 * written down apart from them, so that an overflow cannot change it, and a
 * pointer to no block ends the process.
 */
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_SIZE 65536
#define BLOCKS_MAX 64
#define ALIGNMENT 16

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

static struct {
  unsigned count;
  unsigned begins[BLOCKS_MAX + 1]; /* and behind the last block, the end of what is used */
  bool freed[BLOCKS_MAX];
  alignas(ALIGNMENT) char memory[ARENA_SIZE];
} arena;

static bool is_inside(const void *p)
{
  return (uintptr_t)p - (uintptr_t)arena.memory < ARENA_SIZE; /* lower ones wrap around */
}

/* From the end, where the younger ones are. */
static unsigned find(const void *p)
{
  unsigned i = arena.count;

  while (i > 0) {
    i--;
    if (arena.memory + arena.begins[i] == (const char *)p && !arena.freed[i]) {
      return i;
    }
  }
  abort();
}

/* What a block of this size takes, 0 if there is none to be had at that offset. */
static unsigned space(size_t size, unsigned at)
{
  size_t room = ARENA_SIZE - at;

  /* Not none: each block has an address of its own. */
  size = size ? size : 1;
  return size > room ? 0 : (unsigned)((size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

void *__wrap_malloc(size_t size)
{
  unsigned taken = arena.count < BLOCKS_MAX ? space(size, arena.begins[arena.count]) : 0;
  char *p = arena.memory + arena.begins[arena.count];

  if (!taken) {
    return __real_malloc(size);
  }
  arena.freed[arena.count] = false;
  arena.begins[arena.count + 1] = arena.begins[arena.count] + taken;
  arena.count++;
  return p;
}

void __wrap_free(void *p)
{
  if (!is_inside(p)) {
    __real_free(p);
    return;
  }
  arena.freed[find(p)] = true;
  while (arena.count > 0 && arena.freed[arena.count - 1]) {
    arena.count--;
  }
}

void *__wrap_calloc(size_t n, size_t size)
{
  void *p;

  if (size && n > ARENA_SIZE / size) {
    return __real_calloc(n, size);
  }
  p = __wrap_malloc(n * size);
  return p ? memset(p, 0, n * size) : NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
  unsigned i, taken;
  size_t old;
  void *q;

  if (!is_inside(p)) {
    return p ? __real_realloc(p, size) : __wrap_malloc(size);
  }
  i = find(p);
  old = arena.begins[i + 1] - arena.begins[i];
  taken = i + 1 == arena.count ? space(size, arena.begins[i]) : 0;
  if (taken) {
    arena.begins[i + 1] = arena.begins[i] + taken;
    return p;
  }
  if (size <= old) {
    return p;
  }
  q = __wrap_malloc(size);
  if (q) {
    memcpy(q, p, old);
    __wrap_free(p);
  }
  return q;
}
