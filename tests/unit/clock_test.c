#include "clock.h"

#include "check.h"

static const struct {
  int64_t ms;
  const char *expected;
} cases[] = {
  {-1, "Thu, 01 Jan 1970 00:00:00 +0000"},
  {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
  {951782399999, "Mon, 28 Feb 2000 23:59:59 +0000"},
  {951782400000, "Tue, 29 Feb 2000 00:00:00 +0000"},
  {951868800000, "Wed, 01 Mar 2000 00:00:00 +0000"},
  {1709164800000, "Thu, 29 Feb 2024 00:00:00 +0000"},
  {1735689599000, "Tue, 31 Dec 2024 23:59:59 +0000"},
  {1735689600000, "Wed, 01 Jan 2025 00:00:00 +0000"},
  {1795362309000, "Sun, 22 Nov 2026 15:45:09 +0000"},
  {4107542399000, "Sun, 28 Feb 2100 23:59:59 +0000"},
  {4107542400000, "Mon, 01 Mar 2100 00:00:00 +0000"}, /* no leap year */
  {253402300799999, "Fri, 31 Dec 9999 23:59:59 +0000"},
  {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 +0000"},
};

static const struct {
  uint64_t seconds;
  const char *expected;
} spans[] = {
  {0, "0 seconds"},     {1, "1 second"},
  {60, "60 seconds"},   {119, "119 seconds"},
  {120, "2 minutes"},   {3600, "60 minutes"},
  {5400, "90 minutes"}, {7199, "119 minutes"},
  {7200, "2 hours"},    {86400, "24 hours"},
  {172799, "47 hours"}, {172800, "2 days"},
  {604800, "7 days"},   {UINT64_MAX, "213503982334601 days"},
};

int main(void)
{
  char span[CLOCK_SPAN_SIZE];
  char out[CLOCK_RFC5322_SIZE];
  int64_t before = clock_monotonic_ms();

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clock_format_rfc5322(cases[i].ms, out);
    CHECK_STR(out, cases[i].expected);
  }
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    clock_format_span(spans[i].seconds, span);
    CHECK_STR(span, spans[i].expected);
  }
  CHECK(clock_monotonic_ms() >= before);
  CHECK(clock_wall_ms() > 1700000000000);
  return check_done("clock_test");
}
