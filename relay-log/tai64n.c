#include "tai64n.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TAI64N_EPOCH                                                                               \
  (UINT64_C(0x4000000000000000) + 10) /* the label of 1970-01-01 00:00:00 UTC                      \
                                       */
#define SECOND INT64_C(1000000000)

/* The value of n hexadecimal digits, small letters as multilog writes them; false if one is not. */
static bool hex(const char *s, size_t n, uint64_t *value)
{
  uint64_t v = 0;

  for (size_t i = 0; i < n; i++) {
    unsigned digit = (unsigned char)s[i] - '0';
    if (digit > 9) {
      digit = (unsigned char)s[i] - 'a';
      if (digit > 5) {
        return false;
      }
      digit += 10;
    }
    v = v << 4 | digit;
  }
  *value = v;
  return true;
}

bool tai64n_parse(const char *s, size_t len, int64_t *at)
{
  uint64_t seconds, nanoseconds;

  if (len < TAI64N_LENGTH || *s != '@' || !hex(s + 1, 16, &seconds) ||
      !hex(s + 17, 8, &nanoseconds) || seconds < TAI64N_EPOCH || nanoseconds >= SECOND ||
      seconds - TAI64N_EPOCH >= INT64_MAX / SECOND) {
    return false;
  }
  *at = (int64_t)(seconds - TAI64N_EPOCH) * SECOND + (int64_t)nanoseconds;
  return true;
}

void tai64n_format(int64_t at, char out[TAI64N_LENGTH + 1])
{
  snprintf(out, TAI64N_LENGTH + 1, "@%016llx%08llx",
           (unsigned long long)(TAI64N_EPOCH + (uint64_t)(at / SECOND)),
           (unsigned long long)(at % SECOND));
}

static void put_digits(char *out, unsigned value, unsigned n)
{
  while (n-- > 0) {
    out[n] = (char)('0' + value % 10);
    value /= 10;
  }
}

/* Not snprintf(): a log has many lines. */
static void put(const struct tm *t, int64_t nanoseconds, char out[TAI64N_TEXT_SIZE])
{
  memcpy(out, "0000-00-00 00:00:00.000000", 27);
  put_digits(out, (unsigned)t->tm_year + 1900, 4);
  put_digits(out + 5, (unsigned)t->tm_mon + 1, 2);
  put_digits(out + 8, (unsigned)t->tm_mday, 2);
  put_digits(out + 11, (unsigned)t->tm_hour, 2);
  put_digits(out + 14, (unsigned)t->tm_min, 2);
  put_digits(out + 17, (unsigned)t->tm_sec, 2);
  put_digits(out + 20, (unsigned)(nanoseconds / 1000), 6);
}

void tai64n_utc(int64_t at, char out[TAI64N_TEXT_SIZE])
{
  static time_t last = -1;
  static char text[TAI64N_TEXT_SIZE]; /* of that second */
  time_t seconds = (time_t)(at / SECOND);

  if (seconds != last) {
    struct tm t;
    gmtime_r(&seconds, &t);
    put(&t, 0, text);
    last = seconds;
  }
  memcpy(out, text, sizeof(text));
  put_digits(out + 20, (unsigned)(at % SECOND / 1000), 6);
}

void tai64n_local(int64_t at, char out[TAI64N_TEXT_SIZE])
{
  time_t seconds = (time_t)(at / SECOND);
  struct tm t;

  localtime_r(&seconds, &t);
  put(&t, at % SECOND, out);
}
