/* The arena, with a malloc() that counts behind it. */
#include "../../lib/musl_arena.c"

#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE (SIZE_MAX / 2)

static unsigned outside; /* what was asked of the real one */

void *__real_malloc(size_t size)
{
  outside++;
  return size > HUGE / 2 ? NULL : malloc(size);
}

void *__real_realloc(void *p, size_t size)
{
  return realloc(p, size);
}

void *__real_calloc(size_t n, size_t size)
{
  outside++;
  return n > HUGE / 4 ? NULL : calloc(n, size);
}

/* noinline: gcc must not see what the tests of misuse would do. */
__attribute__((noinline)) void __real_free(void *p)
{
  free(p);
}

static void test_blocks(void)
{
  char *a = __wrap_malloc(10), *b = __wrap_malloc(0), *c = __wrap_calloc(3, 7);

  CHECK((uintptr_t)a % ALIGNMENT == 0 && (uintptr_t)b % ALIGNMENT == 0);
  CHECK(b >= a + 10 && c > b);
  CHECK(!memcmp(c, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 21));
  memset(c, 'c', 21);
  /* The last one grows where it is, another one moves with its bytes. */
  CHECK(__wrap_realloc(c, 5000) == c);
  CHECK_INT(c[20], 'c');
  memset(a, 'a', 10);
  char *d = __wrap_realloc(a, 200);
  CHECK(d > c && !memcmp(d, "aaaaaaaaaa", 10));
  CHECK(__wrap_realloc(d, 10) == d);
  CHECK_INT(outside, 0);
  /* What is behind the freed ones holds them; then all is there again. */
  __wrap_free(c);
  __wrap_free(b);
  CHECK((char *)__wrap_malloc(1) > d);
  __wrap_free(arena.memory + arena.begins[arena.count - 1]);
  __wrap_free(d);
  CHECK_INT(arena.count, 0);
  CHECK(__wrap_malloc(1) == a);
  memset(a, 'x', 1);
  __wrap_free(a);
  b = __wrap_calloc(1, 1);
  CHECK(b == a && *b == '\0');
  __wrap_free(b);
  __wrap_free(NULL);
}

static void test_full(void)
{
  char *blocks[BLOCKS_MAX], *all, *more;

  all = __wrap_malloc(ARENA_SIZE);
  CHECK(is_inside(all));
  more = __wrap_malloc(1);
  CHECK(more && !is_inside(more));
  CHECK_INT(outside, 1);
  more = __wrap_realloc(more, 100);
  CHECK(more && !is_inside(more));
  __wrap_free(more);
  memset(all, 'z', ARENA_SIZE);
  all = __wrap_realloc(all, ARENA_SIZE + 1);
  CHECK(!is_inside(all) && all[ARENA_SIZE - 1] == 'z');
  CHECK_INT(arena.count, 0);
  __wrap_free(all);
  all = __wrap_malloc(ARENA_SIZE + 1);
  CHECK(!is_inside(all));
  __wrap_free(all);
  CHECK(!__wrap_malloc(HUGE));
  CHECK(!__wrap_calloc(HUGE / 2, 3));
  for (int i = 0; i < BLOCKS_MAX; i++) {
    blocks[i] = __wrap_malloc(1);
    CHECK(is_inside(blocks[i]));
  }
  more = __wrap_malloc(1);
  CHECK(!is_inside(more));
  __wrap_free(more);
  for (int i = 0; i < BLOCKS_MAX; i++) {
    __wrap_free(blocks[i]);
  }
  CHECK_INT(arena.count, 0);
}

static void free_twice(char *p, char *held)
{
  (void)held;
  __wrap_free(p);
  __wrap_free(p);
}

static void free_middle(char *p, char *held)
{
  (void)held;
  __wrap_free(p + 16);
}

static void grow_freed(char *p, char *held)
{
  (void)held;
  __wrap_free(p);
  __wrap_realloc(p, 100);
}

static void test_misuse(void)
{
  void (*const acts[])(char *, char *) = {free_twice, free_middle, grow_freed};
  char *p = __wrap_malloc(64), *held = __wrap_malloc(64);
  int status = 0;

  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      signal(SIGABRT, SIG_DFL);
      acts[i](p, held);
      _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  }
}

int main(void)
{
  test_blocks();
  test_full();
  test_misuse();
  return check_done("musl_arena");
}
