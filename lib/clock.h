#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds that never go back; for deadlines and intervals. */
int64_t clock_monotonic_ms(void);

/* Milliseconds since 1970; for what is written down: arrival, expiry, dates. */
int64_t clock_wall_ms(void);

/* "Sun, 22 Nov 2026 15:45:09 +0000" (RFC 5322 3.3, UTC) and its size with the NUL. */
#define CLOCK_RFC5322_SIZE 32
void clock_format_rfc5322(int64_t wall_ms, char out[CLOCK_RFC5322_SIZE]);

/* "5 days", "36 hours", "90 minutes", "1 second": the largest unit that there are two of, rounded
 * down. */
#define CLOCK_SPAN_SIZE 32
void clock_format_span(uint64_t seconds, char out[CLOCK_SPAN_SIZE]);

#endif
