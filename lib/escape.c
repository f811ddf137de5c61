#include "escape.h"

#include <string.h>

/* The length of the valid UTF-8 character at s, 0 if there is none (RFC 3629 4). */
static size_t character(const unsigned char *s, size_t len)
{
  unsigned char low = 0x80, high = 0xbf;
  size_t n, i;

  if (s[0] < 0x80) {
    return 1;
  }
  if (s[0] >= 0xc2 && s[0] <= 0xdf) {
    n = 2;
  } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
    n = 3;
    low = s[0] == 0xe0 ? 0xa0 : 0x80;
    high = s[0] == 0xed ? 0x9f : 0xbf;
  } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
    n = 4;
    low = s[0] == 0xf0 ? 0x90 : 0x80;
    high = s[0] == 0xf4 ? 0x8f : 0xbf;
  } else {
    return 0;
  }
  if (len < n || s[1] < low || s[1] > high) {
    return 0;
  }
  for (i = 2; i < n; i++) {
    if (s[i] < 0x80 || s[i] > 0xbf) {
      return 0;
    }
  }
  return n;
}

static int is_control(const unsigned char *s, size_t n)
{
  return (n == 1 && (s[0] < 0x20 || s[0] == 0x7f)) || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* How many bytes at s are printable ASCII: nearly all that peers say. */
static size_t plain(const unsigned char *s, size_t len)
{
  size_t n = 0;

  while (n < len && s[n] >= 0x20 && s[n] < 0x7f) {
    n++;
  }
  return n;
}

size_t escape_text(const char *text, size_t len, char *out, size_t size, size_t *written)
{
  static const char hex[] = "0123456789abcdef";
  const unsigned char *s = (const unsigned char *)text;
  size_t taken = 0, at = 0, n, i;

  while (taken < len) {
    n = plain(s + taken, len - taken < size - at ? len - taken : size - at);
    memcpy(out + at, s + taken, n);
    at += n;
    taken += n;
    if (taken == len) {
      break;
    }
    n = character(s + taken, len - taken);
    if (n > 0 && !is_control(s + taken, n)) {
      if (size - at < n) {
        break;
      }
      memcpy(out + at, s + taken, n);
      at += n;
      taken += n;
      continue;
    }
    n = n > 0 ? n : 1;
    if (size - at < 4 * n) {
      break;
    }
    for (i = 0; i < n; i++, taken++) {
      out[at++] = '\\';
      out[at++] = 'x';
      out[at++] = hex[s[taken] >> 4];
      out[at++] = hex[s[taken] & 15];
    }
  }
  *written = at;
  return taken;
}
