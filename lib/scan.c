/* Small parsers over (pointer, length). ASCII only, whatever the locale. */
#include "scan.h"

#include <errno.h>

#define SAFE_DIGITS 19 /* any number of so many fits into 64 bits */

static bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static char lower(char c)
{
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t scan_digits(const char *s, size_t len)
{
  size_t n = 0;

  while (n < len && is_digit(s[n])) {
    n++;
  }
  return n;
}

int scan_u64(const char *s, size_t len, uint64_t max, uint64_t *value)
{
  uint64_t v = 0;

  if (len == 0 || scan_digits(s, len) != len) {
    errno = EINVAL;
    return -1;
  }
  if (len <= SAFE_DIGITS) {
    for (size_t i = 0; i < len; i++) {
      v = v * 10 + (uint64_t)(s[i] - '0');
    }
    if (v > max) {
      errno = ERANGE;
      return -1;
    }
    *value = v;
    return 0;
  }
  for (size_t i = 0; i < len; i++) {
    uint64_t digit = (uint64_t)(s[i] - '0');
    if (digit > max || v > (max - digit) / 10) {
      errno = ERANGE;
      return -1;
    }
    v = v * 10 + digit;
  }
  *value = v;
  return 0;
}

bool scan_case_equal(const char *a, size_t alen, const char *b, size_t blen)
{
  if (alen != blen) {
    return false;
  }
  for (size_t i = 0; i < alen; i++) {
    if (lower(a[i]) != lower(b[i])) {
      return false;
    }
  }
  return true;
}

bool scan_case_prefix(const char *s, size_t len, const char *prefix)
{
  size_t i = 0;

  for (; prefix[i]; i++) {
    if (i == len || lower(s[i]) != lower(prefix[i])) {
      return false;
    }
  }
  return true;
}

void scan_lowercase(char *s, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    s[i] = lower(s[i]);
  }
}

/* The length of the UTF-8 sequence at s, or 0 if it is none (RFC 3629 4). */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
  unsigned char first = s[0], low = 0x80, high = 0xbf;
  size_t n;

  if (first < 0x80) {
    return first != 0;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    n = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    n = 3;
    low = first == 0xe0 ? 0xa0 : low;   /* overlong */
    high = first == 0xed ? 0x9f : high; /* surrogates */
  } else if (first >= 0xf0 && first <= 0xf4) {
    n = 4;
    low = first == 0xf0 ? 0x90 : low;
    high = first == 0xf4 ? 0x8f : high; /* over U+10FFFF */
  } else {
    return 0;
  }
  if (len < n || s[1] < low || s[1] > high) {
    return 0;
  }
  for (size_t i = 2; i < n; i++) {
    if (s[i] < 0x80 || s[i] > 0xbf) {
      return 0;
    }
  }
  return n;
}

bool scan_utf8_valid(const char *s, size_t len)
{
  for (size_t i = 0; i < len;) {
    size_t n = utf8_sequence((const unsigned char *)s + i, len - i);
    if (n == 0) {
      return false;
    }
    i += n;
  }
  return true;
}

#define BLOCK 64 /* a fixed number, so that compilers make vector code of the loop over it */

bool scan_ascii_only(const char *s, size_t len)
{
  unsigned char all = 0;
  size_t i = 0;

  for (; i + BLOCK <= len; i += BLOCK) {
    for (size_t j = 0; j < BLOCK; j++) {
      all |= (unsigned char)s[i + j];
    }
    if (all >= 0x80) {
      return false;
    }
  }
  for (; i < len; i++) {
    all |= (unsigned char)s[i];
  }
  return all < 0x80;
}
