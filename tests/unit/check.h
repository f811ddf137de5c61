#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>

/* The unit tests' whole framework: count, report the place of what is wrong, exit 1. */
static int check_total, check_failed;

#define CHECK(condition) check_report(!!(condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(actual, expected) \
  check_int((long long)(actual), (long long)(expected), __FILE__, __LINE__, #actual)
#define CHECK_STR(actual, expected) check_str((actual), (expected), __FILE__, __LINE__, #actual)

static inline void check_report(int ok, const char *file, int line, const char *what)
{
  check_total++;
  if (!ok) {
    check_failed++;
    fprintf(stderr, "%s:%d: wrong: %s\n", file, line, what);
  }
}

static inline void check_int(long long actual, long long expected, const char *file, int line,
                             const char *what)
{
  check_total++;
  if (actual != expected) {
    check_failed++;
    fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, actual, expected);
  }
}

static inline void check_str(const char *actual, const char *expected, const char *file, int line,
                             const char *what)
{
  check_total++;
  if (!actual || strcmp(actual, expected) != 0) {
    check_failed++;
    fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
            actual ? actual : "(null)", expected);
  }
}

static inline int check_done(const char *name)
{
  printf("%s: %d checks, %d failed\n", name, check_total, check_failed);
  return check_failed != 0;
}

#endif
