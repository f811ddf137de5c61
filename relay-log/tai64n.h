#ifndef TAI64N_H
#define TAI64N_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * multilog's time stamps: "@" and 24 hexadecimal digits, TAI64N. What they
 * mean is what tai64nlocal makes of them: TAI runs 10 seconds ahead of the
 * system's clock, no leap seconds after 1972 are counted. A moment is here
 * nanoseconds since 1970 in UTC, which lasts until 2262.
 */
#define TAI64N_LENGTH 25 /* "@" and the digits */

/* True if s begins with a stamp of 1970 to 2261; *at is its moment. */
bool tai64n_parse(const char *s, size_t len, int64_t *at);

/* The stamp of a moment, with a NUL. */
void tai64n_format(int64_t at, char out[TAI64N_LENGTH + 1]);

/* "2026-11-22 13:54:06.123456" and its size with the NUL. In UTC, or the zone of TZ. */
#define TAI64N_TEXT_SIZE 32
void tai64n_utc(int64_t at, char out[TAI64N_TEXT_SIZE]);
void tai64n_local(int64_t at, char out[TAI64N_TEXT_SIZE]);

#endif
