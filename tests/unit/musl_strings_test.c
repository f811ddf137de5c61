/* The string functions of the musl variant, under other names so that they are what is tested. */
#define memmove test_memmove
#define memcpy test_memcpy
#define memset test_memset
#define memchr test_memchr
#include <stddef.h>
void *memmove(void *, const void *, size_t);
void *memcpy(void *restrict, const void *restrict, size_t);
void *memset(void *, int, size_t);
void *memchr(const void *, int, size_t);
#include "../../lib/musl_strings.c"
#undef memmove
#undef memcpy
#undef memset
#undef memchr
#include "check.h"

#include <stdlib.h>

enum { MOST = 100, EDGE = 40, SIZE = MOST + 2 * EDGE };

#if defined(__x86_64__)
static void fill(char *bytes)
{
  for (int i = 0; i < SIZE; i++)
    bytes[i] = (char)(i * 37 + 11);
}

/* Byte by byte, through a copy: what memmove promises. */
static void move_slowly(char *bytes, int to, int from, int len)
{
  char copy[SIZE];

  for (int i = 0; i < len; i++)
    copy[i] = bytes[from + i];
  for (int i = 0; i < len; i++)
    bytes[to + i] = copy[i];
}

static int same(const char *a, const char *b)
{
  for (int i = 0; i < SIZE; i++)
    if (a[i] != b[i])
      return 0;
  return 1;
}

/* Every length at every distance, forwards, backwards and overlapping; nothing beside is touched. */
static void check_move(void)
{
  char got[SIZE], wanted[SIZE];

  for (int len = 0; len <= MOST; len++)
    for (int to = 0; to <= 2 * EDGE; to++) {
      fill(got);
      fill(wanted);
      CHECK(test_memmove(got + to, got + EDGE, (size_t)len) == got + to);
      move_slowly(wanted, to, EDGE, len);
      CHECK(same(got, wanted));
    }
}

static void check_copy_and_set(void)
{
  char got[SIZE], wanted[SIZE], source[SIZE];

  for (int len = 0; len <= MOST; len++)
    for (int at = 0; at < 17; at++) {
      fill(got);
      fill(wanted);
      fill(source);
      for (int i = 0; i < SIZE; i++)
        source[i] ^= 0x55;
      CHECK(test_memcpy(got + at, source + EDGE, (size_t)len) == got + at);
      for (int i = 0; i < len; i++)
        wanted[at + i] = source[EDGE + i];
      CHECK(same(got, wanted));
      CHECK(test_memset(got + at, 0x1ff, (size_t)len) == got + at);
      for (int i = 0; i < len; i++)
        wanted[at + i] = (char)0xff;
      CHECK(same(got, wanted));
    }
}

static void check_search(void)
{
  for (size_t len = 0; len <= MOST; len++) {
    char *exact = malloc(len ? len : 1); /* ASan sees a read behind it */

    for (size_t i = 0; i < len; i++)
      exact[i] = 'x';
    CHECK(test_memchr(exact, 'y', len) == NULL);
    for (size_t i = 0; i < len; i++) {
      exact[i] = (char)0x80;
      CHECK(test_memchr(exact, 0x80, len) == exact + i);
      CHECK(test_memchr(exact, 0x180, len) == exact + i);
      if (i + 1 < len) {
        exact[len - 1] = (char)0x80; /* the first of two */
        CHECK(test_memchr(exact, 0x80, len) == exact + i);
        exact[len - 1] = 'x';
      }
      exact[i] = 'x';
    }
    free(exact);
  }
}

int main(void)
{
  check_move();
  check_copy_and_set();
  check_search();
  return check_done("musl_strings");
}
#else
int main(void)
{
  CHECK(MOST < SIZE); /* nothing of ours is used here */
  return check_done("musl_strings");
}
#endif
