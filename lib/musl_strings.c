/*
 * Only in the musl variant of relay-smtpd, on x86-64: memcpy, memmove, memset
 * and memchr in place of musl's. musl copies with "rep movsq", which takes
 * some 300 ns to get going inside a virtual machine, also for eight bytes, and
 * searches byte by byte; that was a seventh of relay-smtpd's time. SSE2 is
 * part of every x86-64, so nothing is looked up at start (CPUID traps to the
 * hypervisor, which is why this program is not linked with glibc).
 *
 * Compiled with -fno-builtin and -fno-tree-loop-distribute-patterns: the
 * compiler would make a call to memcpy of the loop in memcpy.
 */
#if defined(__x86_64__)
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK sizeof(__m128i)

static inline __m128i load(const char *from)
{
  return _mm_loadu_si128((const __m128i *)(const void *)from);
}

static inline void store(char *to, __m128i block)
{
  _mm_storeu_si128((__m128i *)(void *)to, block);
}

/* Under 16 bytes: two pieces that may overlap, both read before one is written. */
static inline void copy_small(char *to, const char *from, size_t len)
{
  uint64_t a8, b8;
  uint32_t a4, b4;
  char a, b, c;

  if (len >= 8) {
    __builtin_memcpy(&a8, from, 8);
    __builtin_memcpy(&b8, from + len - 8, 8);
    __builtin_memcpy(to, &a8, 8);
    __builtin_memcpy(to + len - 8, &b8, 8);
  } else if (len >= 4) {
    __builtin_memcpy(&a4, from, 4);
    __builtin_memcpy(&b4, from + len - 4, 4);
    __builtin_memcpy(to, &a4, 4);
    __builtin_memcpy(to + len - 4, &b4, 4);
  } else if (len > 0) {
    a = from[0];
    b = from[len / 2];
    c = from[len - 1];
    to[0] = a;
    to[len / 2] = b;
    to[len - 1] = c;
  }
}

void *memmove(void *to_start, const void *from_start, size_t len)
{
  char *to = to_start;
  const char *from = from_start;
  __m128i first, last;
  size_t at;

  if (len < BLOCK) {
    copy_small(to, from, len);
    return to_start;
  }
  first = load(from);
  last = load(from + len - BLOCK);
  if ((uintptr_t)to - (uintptr_t)from >= len) { /* forwards is safe */
    for (at = BLOCK; at < len - BLOCK; at += BLOCK) {
      store(to + at, load(from + at));
    }
  } else {
    for (at = len - BLOCK; at > BLOCK; at -= BLOCK) {
      store(to + at - BLOCK, load(from + at - BLOCK));
    }
  }
  store(to, first);
  store(to + len - BLOCK, last);
  return to_start;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
  return memmove(to, from, len);
}

void *memset(void *to_start, int byte, size_t len)
{
  char *to = to_start;
  __m128i block = _mm_set1_epi8((char)byte);
  size_t at;

  if (len < BLOCK) {
    for (at = 0; at < len; at++) {
      ((volatile char *)to)[at] = (char)byte;
    }
    return to_start;
  }
  for (at = 0; at < len - BLOCK; at += BLOCK) {
    store(to + at, block);
  }
  store(to + len - BLOCK, block);
  return to_start;
}

void *memchr(const void *start, int byte, size_t len)
{
  const char *s = start;
  const __m128i wanted = _mm_set1_epi8((char)byte);
  size_t at;

  for (at = 0; len - at >= BLOCK; at += BLOCK) {
    int found = _mm_movemask_epi8(_mm_cmpeq_epi8(load(s + at), wanted));
    if (found) {
      return (char *)(uintptr_t)s + at + __builtin_ctz((unsigned)found);
    }
  }
  for (; at < len; at++) {
    if (s[at] == (char)byte) {
      return (char *)(uintptr_t)s + at;
    }
  }
  return NULL;
}
#else
/* Elsewhere musl's own are good. ISO C wants something in every file. */
typedef int musl_strings_unused;
#endif
