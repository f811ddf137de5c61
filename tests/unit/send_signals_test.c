/* What a lane learns without a text: a message rate (rate.h), slowness (slow.h). */
#include "rate.h"
#include "slow.h"

#include "check.h"

/* Starts what may start in each tenth of a second of so many seconds; all of it is delivered. */
static uint32_t flow(struct rate *r, int64_t *now, int seconds)
{
  uint32_t started = 0;

  for (int64_t end = *now + seconds * 1000; *now < end; *now += 100) {
    while (r->per_minute > 0 && rate_open(r, *now)) {
      rate_started(r, *now);
      rate_delivered(r, *now);
      started++;
    }
  }
  return started;
}

static void test_rate(void)
{
  struct rate r = {0};
  int64_t now = 1000000;

  for (int i = 0; i < 1000; i++) {
    CHECK(rate_open(&r, now)); /* nothing learnt: as fast as it goes */
    rate_started(&r, now);
  }
  for (int i = 0; i < 60; i++) {
    rate_delivered(&r, now += 100);
  }
  rate_trouble(&r, now, 15000, 600000);
  CHECK_INT(r.per_minute, 45); /* three quarters of the minute before */
  CHECK(!rate_open(&r, now + 14999));
  CHECK_INT(rate_next(&r, now), now + 15000);
  rate_trouble(&r, now += 15000, 15000, 600000);
  CHECK_INT(r.per_minute, 45); /* nothing was delivered: nothing new is known, */
  CHECK_INT(rate_next(&r, now), now + 30000); /* only that the pause was too short */
  for (int i = 0; i < 10; i++) {
    rate_trouble(&r, now, 15000, 600000);
  }
  CHECK_INT(rate_next(&r, now), now + 600000);

  now += 600000;
  uint32_t started = flow(&r, &now, 59);
  CHECK(started >= 43 && started <= 46); /* one after the other: no burst after a pause */
  started = flow(&r, &now, 60);
  CHECK(started >= 45 && started <= 52); /* a tenth more a minute */
  CHECK(r.per_minute > 45 && r.per_minute < 60);
  uint32_t was = r.per_minute;
  rate_trouble(&r, now, 15000, 600000);
  CHECK(r.per_minute < was && r.per_minute >= was / 2);
  rate_resume(&r, now);
  CHECK(rate_open(&r, now));

  now += 2 * RATE_FORGET_MS;
  rate_started(&r, now);
  rate_delivered(&r, now);
  rate_started(&r, now += RATE_FORGET_MS + 1);
  rate_delivered(&r, now);
  CHECK_INT(r.per_minute, 0); /* it has not mattered for an hour */

  r = (struct rate){0};
  rate_trouble(&r, now, 15000, 600000);
  CHECK_INT(r.per_minute, 0); /* at the very first message: only a pause */
  CHECK(!rate_open(&r, now + 14999));
  rate_delivered(&r, now += 15000);
  rate_trouble(&r, now, 15000, 600000);
  CHECK_INT(r.per_minute, 1); /* never less */
  now += 15000;
  CHECK(flow(&r, &now, 300) >= 5);
}

static enum slow_change take(struct slow *s, int64_t mail, int64_t rcpt, int64_t dot, uint64_t bytes)
{
  const int64_t ms[SLOW_ANSWERS] = {mail, rcpt, dot};

  return slow_take(s, ms, bytes);
}

static void test_slow(void)
{
  struct slow s = {0};

  for (int i = 0; i < 50; i++) {
    CHECK(take(&s, 20, 100, 200, 5000) == SLOW_SAME);
  }
  CHECK(take(&s, 20, 20000, 200, 5000) == SLOW_SAME); /* once is nothing */
  CHECK(take(&s, 20, 100, 200, 5000) == SLOW_SAME);
  CHECK(take(&s, 20, 20000, 200, 5000) == SLOW_SAME);
  CHECK(take(&s, 20, 20000, 200, 5000) == SLOW_SAME);
  CHECK(take(&s, 20, 20000, 200, 5000) == SLOW_BEGINS);
  CHECK(s.on);
  CHECK_STR(slow_answer_name(&s), "RCPT");
  CHECK(s.usual_ms >= 90 && s.usual_ms <= 120);
  CHECK_INT(s.took_ms, 20000);
  for (int i = 0; i < 20; i++) {
    CHECK(take(&s, 20, 20000, 200, 5000) == SLOW_GOES_ON);
  }
  CHECK(take(&s, 20, 100, 200, 5000) == SLOW_SAME);
  CHECK(take(&s, 20, 100, 200, 5000) == SLOW_SAME);
  CHECK(take(&s, 20, 100, 200, 5000) == SLOW_ENDS);
  CHECK(!s.on);

  /* a tarpit: half a second is its usual, and so are 20 seconds of another */
  s = (struct slow){0};
  for (int i = 0; i < 100; i++) {
    CHECK(take(&s, 500, 500 + i % 7 * 100, 500, 5000) == SLOW_SAME);
  }
  s = (struct slow){0};
  for (int i = 0; i < 100; i++) {
    CHECK(take(&s, 20000, 20000, 30000, 5000) == SLOW_SAME);
  }
  /* quick, and a busy moment of some seconds */
  s = (struct slow){0};
  for (int i = 0; i < 100; i++) {
    CHECK(take(&s, 1, 1, i % 10 ? 2 : 1900, 5000) == SLOW_SAME);
  }
  /* large messages: their dot takes long */
  s = (struct slow){0};
  for (int i = 0; i < 100; i++) {
    CHECK(take(&s, 10, 10, i % 2 ? 10 : 60000, i % 2 ? 5000 : 30 << 20) == SLOW_SAME);
  }
  CHECK(take(&s, -1, -1, -1, 0) == SLOW_SAME);
  /* slow for good: at last that is its usual */
  s = (struct slow){0};
  take(&s, 10, 10, 10, 100);
  int turns = 0;
  do {
    turns++;
  } while (take(&s, 10, 5000, 10, 100) != SLOW_ENDS && turns < 10000);
  CHECK(turns > 100 && turns < 3000);
}

int main(void)
{
  test_rate();
  test_slow();
  return check_done("send_signals");
}
