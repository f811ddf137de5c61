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

/*
 * The date of a day, counted from 1 January 1970. Not gmtime_r(): glibc's looks
 * for /etc/localtime first, and a process that has given up open() would be
 * killed for it. Years are taken from March on, so that a leap day is a year's
 * last, and in eras of 400 years, which all have the same days.
 */
static void date_of_day(unsigned day, unsigned *year, unsigned *month, unsigned *month_day)
{
  unsigned since_0000 = day + 719468; /* days since 1 March of the year 0 */
  unsigned era = since_0000 / 146097, of_era = since_0000 % 146097;
  unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned march_month = (5 * of_year + 2) / 153; /* 0 is March */

  *month_day = of_year - (153 * march_month + 2) / 5 + 1;
  *month = march_month < 10 ? march_month + 3 : march_month - 9;
  *year = 400 * era + year_of_era + (*month <= 2);
}

void clock_format_rfc5322(int64_t wall_ms, char out[CLOCK_RFC5322_SIZE])
{
  static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t seconds = wall_ms < 0 ? 0 : wall_ms / 1000;
  unsigned day, year, month, month_day, second;

  seconds = seconds > LAST_SECOND ? LAST_SECOND : seconds;
  day = (unsigned)(seconds / 86400);
  date_of_day(day, &year, &month, &month_day);
  second = (unsigned)(seconds % 86400);
  /* strftime() would write the locale's names. Remainders and %.3s only bound lengths for gcc. */
  snprintf(out, CLOCK_RFC5322_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u +0000", days[day % 7],
           month_day % 100, months[(month - 1) % 12], year % 10000, second / 3600 % 100,
           second / 60 % 60, second % 60);
}

void clock_format_span(uint64_t seconds, char out[CLOCK_SPAN_SIZE])
{
  static const struct {
    uint64_t seconds;
    const char *name;
  } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}};

  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (seconds >= 2 * units[i].seconds) {
      snprintf(out, CLOCK_SPAN_SIZE, "%llu %s", (unsigned long long)(seconds / units[i].seconds),
               units[i].name);
      return;
    }
  }
  snprintf(out, CLOCK_SPAN_SIZE, "%llu second%s", (unsigned long long)seconds,
           seconds == 1 ? "" : "s");
}
