#include "clock.h"

#include <stdio.h>
#include <time.h>

#define LAST_SECOND 253402300799 /* of the year 9999: RFC 5322 dates end there */

static int64_t now_ms(clockid_t id)
{
  struct timespec t;

  clock_gettime(id, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
  return now_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
  return now_ms(CLOCK_REALTIME);
}

void clock_format_rfc5322(int64_t wall_ms, char out[CLOCK_RFC5322_SIZE])
{
  static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t seconds = wall_ms < 0 ? 0 : wall_ms / 1000;
  struct tm tm;
  time_t t;

  t = (time_t)(seconds > LAST_SECOND ? LAST_SECOND : seconds);
  gmtime_r(&t, &tm);
  /* strftime() would write the locale's names; the remainders only bound the lengths for gcc. */
  snprintf(out, CLOCK_RFC5322_SIZE, "%s, %02u %s %04u %02u:%02u:%02u +0000", days[tm.tm_wday % 7],
           (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
           (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
           (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
