#ifndef SCAN_H
#define SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small parsers over (pointer, length), none of which reads past the length. */

/*
 * The whole of s as a decimal number from 0 to max, digits only, no sign, no
 * blank. Returns 0, or -1 with errno EINVAL (not a number) or ERANGE (over max).
 */
int scan_u64(const char *s, size_t len, uint64_t max, uint64_t *value);

/* How many leading bytes of s are decimal digits. */
size_t scan_digits(const char *s, size_t len);

/* ASCII, never the locale's. */
bool scan_case_equal(const char *a, size_t alen, const char *b, size_t blen);
bool scan_case_prefix(const char *s, size_t len, const char *prefix);
void scan_lowercase(char *s, size_t len);

/* True for an RFC 3629 UTF-8 string without NUL. */
bool scan_utf8_valid(const char *s, size_t len);
bool scan_ascii_only(const char *s, size_t len);

#endif
