/* Names of people for a From field. */
#include "inject_headers.h"

#include "scan.h"

#include <string.h>

#define ENCODED_BYTES_MAX 42 /* an encoded word has at most 75 characters (RFC 2047 2) */

static bool is_plain(const char *s)
{
  for (; *s; s++) {
    bool letter = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
    if (!letter && !strchr(" !#$%&'*+-/=?^_`{|}~", *s)) {
      return false;
    }
  }
  return true;
}

static int put_quoted(struct buf *out, const char *s)
{
  int bad = buf_append_char(out, '"');

  for (; *s && !bad; s++) {
    bad =
      ((*s == '"' || *s == '\\') && buf_append_char(out, '\\') < 0) || buf_append_char(out, *s) < 0;
  }
  return bad ? -1 : buf_append_char(out, '"');
}

static int put_base64(struct buf *out, const unsigned char *s, size_t len)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < len; i += 3) {
    unsigned v = (unsigned)s[i] << 16 | (i + 1 < len ? (unsigned)s[i + 1] << 8 : 0) |
                 (i + 2 < len ? s[i + 2] : 0);
    char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < len ? digits[v >> 6 & 63] : '=',
                    i + 2 < len ? digits[v & 63] : '='};
    if (buf_append(out, four, sizeof four) < 0) {
      return -1;
    }
  }
  return 0;
}

static int put_encoded(struct buf *out, const char *s)
{
  size_t len = strlen(s);
  const char *between = "";

  while (len > 0) {
    size_t n = len < ENCODED_BYTES_MAX ? len : ENCODED_BYTES_MAX;
    while (n > 1 && n < len && ((unsigned char)s[n] & 0xc0) == 0x80) {
      n--; /* a character is not split between words (RFC 2047 5) */
    }
    if (buf_append_str(out, between) < 0 || buf_append_str(out, "=?utf-8?B?") < 0 ||
        put_base64(out, (const unsigned char *)s, n) < 0 || buf_append_str(out, "?=") < 0) {
      return -1;
    }
    between = "\r\n ";
    s += n;
    len -= n;
  }
  return 0;
}

int inject_put_phrase(struct buf *out, const char *name)
{
  size_t len = strlen(name);

  for (size_t i = 0; i < len; i++) {
    if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) {
      return 0;
    }
  }
  if (!scan_utf8_valid(name, len) || strspn(name, " ") == len) {
    return 0;
  }
  if (!scan_ascii_only(name, len)) {
    return put_encoded(out, name);
  }
  return is_plain(name) ? buf_append_str(out, name) : put_quoted(out, name);
}
