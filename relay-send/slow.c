#include "slow.h"

#define SLOW_SCALE 16
#define SLOW_MS_MAX 3600000 /* no reply is waited for so long */

static bool is_slow(uint32_t usual, uint32_t took)
{
  return usual > 0 && took / SLOW_TIMES > usual && took - usual > SLOW_LEAST_MS * SLOW_SCALE;
}

/* A quarter of the way down, a 256th of it up, there never more than as if it had doubled. */
static void follow(uint32_t *usual, uint32_t took)
{
  if (*usual == 0) {
    *usual = took;
  } else if (took < *usual) {
    *usual -= (*usual - took + 3) / 4;
  } else {
    uint32_t up = took - *usual < *usual ? took - *usual : *usual;
    *usual += (up + 255) / 256;
  }
}

static bool take(struct slow *s, enum slow_answer answer, int64_t ms)
{
  uint32_t *usual = &s->usual[answer];
  uint32_t took = (uint32_t)(ms < SLOW_MS_MAX ? ms : SLOW_MS_MAX) * SLOW_SCALE + 1;
  bool slow = is_slow(*usual, took);

  if (slow) {
    s->answer = (uint8_t)answer;
    s->usual_ms = *usual / SLOW_SCALE;
    s->took_ms = took / SLOW_SCALE;
  }
  follow(usual, took);
  return slow;
}

enum slow_change slow_take(struct slow *s, const int64_t ms[SLOW_ANSWERS], uint64_t bytes)
{
  bool slow = false;

  for (int i = 0; i < SLOW_ANSWERS; i++) {
    if (ms[i] >= 0 && (i != SLOW_DOT || bytes <= SLOW_DOT_BYTES)) {
      slow |= take(s, (enum slow_answer)i, ms[i]);
    }
  }
  if (slow != s->on) {
    if (++s->row < SLOW_ROW) {
      return SLOW_SAME;
    }
    s->on = slow;
    s->row = 0;
    return slow ? SLOW_BEGINS : SLOW_ENDS;
  }
  s->row = 0;
  return slow ? SLOW_GOES_ON : SLOW_SAME;
}

const char *slow_answer_name(const struct slow *s)
{
  static const char *const names[SLOW_ANSWERS] = {"MAIL", "RCPT", "the final dot"};

  return names[s->answer];
}
