#include "crlf.h"

static inline unsigned char odd(const char *s, size_t n)
{
  unsigned char found = 0;

  for (size_t i = 0; i < n; i++) {
    const char *before = s + i - 1; /* s + (i - 1) would be s + SIZE_MAX for the first */
    found |= (unsigned char)(((s[i] == '\n') ^ (*before == '\r')) |
                             ((s[i] == '.') & (*before == '\n')) | (s[i] == '\0'));
  }
  return found;
}

static inline unsigned char count_lines(const char *s)
{
  unsigned char n = 0; /* at most CRLF_BLOCK: a byte is enough, and makes the better vector */

  for (size_t i = 0; i < CRLF_BLOCK; i++) {
    n = (unsigned char)(n + (s[i] == '\n'));
  }
  return n;
}

size_t crlf_plain(const char *s, size_t len, uint64_t *lines)
{
  size_t at = 0;

  while (len - at >= CRLF_BLOCK && !odd(s + at, CRLF_BLOCK)) {
    if (lines) {
      *lines += count_lines(s + at);
    }
    at += CRLF_BLOCK;
  }
  return at;
}

unsigned char crlf_odd(const char *s, size_t n)
{
  return odd(s, n);
}
