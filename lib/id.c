/*
 * Message ids. The seven last characters are 35 bits: the pid (22 bits, which
 * is Linux's most) and a counter with a random start. So no two processes of
 * one machine mint the same id, nor does one process twice.
 */
#include "id.h"

#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define TIME_CHARS 9
#define TIME_BITS (5 * TIME_CHARS)
#define PID_BITS 22
#define COUNTER_BITS 13
#define COUNTER_SPAN (1u << COUNTER_BITS)
#define CLOCK_STEP_MS 1000

/* Crockford's: no I, L, O, U; in ASCII order, so that ids sort as their times. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static uint32_t random_start(const struct timespec *now)
{
  uint32_t start;

  /* Never wait for the kernel's pool: a guessable label does no harm. */
  if (getrandom(&start, sizeof start, GRND_NONBLOCK) != (ssize_t)sizeof start) {
    start = (uint32_t)now->tv_nsec ^ (uint32_t)((uintptr_t)&start >> 4);
  }
  return start;
}

/*
 * The time of this id. When a millisecond has used up the counter, the next
 * ids run ahead of the clock. A clock that was set back is followed.
 */
static uint64_t mint_time(uint64_t now)
{
  static uint64_t last;
  static uint32_t used;

  if (now > last || now + CLOCK_STEP_MS < last) {
    last = now;
    used = 0;
  } else if (++used == COUNTER_SPAN) {
    last++;
    used = 0;
  }
  return last;
}

static void put_base32(char *s, size_t chars, uint64_t value)
{
  for (size_t i = chars; i-- > 0; value >>= 5) {
    s[i] = alphabet[value & 31];
  }
}

void id_mint(char id[ID_SIZE])
{
  static uint32_t counter;
  static pid_t seeded_by; /* 0: by nobody */
  struct timespec now;
  pid_t pid = getpid(); /* not cached: a forked child has another */

  clock_gettime(CLOCK_REALTIME, &now);
  if (seeded_by != pid) {
    counter = random_start(&now);
    seeded_by = pid;
  }
  uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  uint64_t mark = ((uint64_t)pid & ((1u << PID_BITS) - 1)) << COUNTER_BITS;

  put_base32(id, TIME_CHARS, mint_time(ms) & ((UINT64_C(1) << TIME_BITS) - 1));
  put_base32(id + TIME_CHARS, ID_LENGTH - TIME_CHARS, mark | (counter++ & (COUNTER_SPAN - 1)));
  id[ID_LENGTH] = '\0';
}

bool id_valid(const char *s, size_t len)
{
  if (len != ID_LENGTH) {
    return false;
  }
  for (size_t i = 0; i < len; i++) {
    if (!s[i] || !strchr(alphabet, s[i])) {
      return false;
    }
  }
  return true;
}
