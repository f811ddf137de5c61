#ifndef SLOW_H
#define SLOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The trouble that has no text: an MX whose answers take many times what they
 * used to is throttling us. Each kind of answer has its usual time, which
 * follows faster ones quickly and slower ones hardly, so that a spell of slow
 * answers does not become usual while it lasts, and an MX that is always slow
 * is never called so. Only transactions count in which all were accepted, as
 * many MXs answer an error late on purpose; and the answer to the dot only for
 * small messages, as a big one may be scanned for long.
 */
#define SLOW_TIMES 8         /* an answer is slow that takes so many times the usual, */
#define SLOW_LEAST_MS 2000   /* and so much more than it */
#define SLOW_ROW 3           /* transactions in a row make it slow, or well again */
#define SLOW_DOT_BYTES (128 << 10) /* the dot of larger messages does not count */

enum slow_answer { SLOW_MAIL, SLOW_RCPT, SLOW_DOT, SLOW_ANSWERS };

struct slow {
  uint32_t usual[SLOW_ANSWERS]; /* sixteenths of a millisecond, 0: none yet */
  uint32_t usual_ms, took_ms;   /* of the answer that was slow last, for people */
  uint8_t answer;               /* which it was */
  uint8_t row;                  /* slow ones in a row while well; others in a row while slow */
  bool on;
};

enum slow_change { SLOW_SAME, SLOW_BEGINS, SLOW_GOES_ON, SLOW_ENDS };

/* A transaction's slowest answers in milliseconds, -1 for none. SLOW_GOES_ON: one more was slow. */
enum slow_change slow_take(struct slow *s, const int64_t ms[SLOW_ANSWERS], uint64_t bytes);

const char *slow_answer_name(const struct slow *s); /* "MAIL", "RCPT", "the final dot" */

#endif
