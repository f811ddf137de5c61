/*
 * Netstring fields. The reader is given bytes from less trusted processes: it
 * keeps to the datagram, and one bad field spoils all that follow, so a caller
 * may check only netstring_end() before it acts.
 */
#include "netstring.h"
#include "scan.h"

#include <errno.h>
#include <string.h>

#define U64_DIGITS_MAX 20

/* Decimal, without a NUL; snprintf() was a third of what a start with a full queue costs. */
static size_t put_digits(char out[U64_DIGITS_MAX], uint64_t value)
{
  char reversed[U64_DIGITS_MAX];
  size_t n = 0, i;

  do {
    reversed[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  for (i = 0; i < n; i++) {
    out[i] = reversed[n - 1 - i];
  }
  return n;
}

int netstring_put(struct buf *b, const char *data, size_t len)
{
  char head[U64_DIGITS_MAX + 1];
  size_t n = put_digits(head, len);

  head[n++] = ':';
  if (len > SIZE_MAX - n - 1) {
    errno = EMSGSIZE;
    return -1;
  }
  /* The whole field or nothing: after this none of the three can fail. */
  if (buf_reserve(b, n + len + 1) < 0) {
    return -1;
  }
  buf_append(b, head, n);
  buf_append(b, data, len);
  return buf_append_char(b, ',');
}

int netstring_put_str(struct buf *b, const char *s)
{
  return netstring_put(b, s, strlen(s));
}

int netstring_put_u64(struct buf *b, uint64_t value)
{
  char digits[U64_DIGITS_MAX];

  return netstring_put(b, digits, put_digits(digits, value));
}

void netstring_open(struct netstring_reader *r, const char *data, size_t len)
{
  r->next = data ? data : "";
  r->end = r->next + (data ? len : 0);
  r->bad = false;
}

static int spoil(struct netstring_reader *r)
{
  r->bad = true;
  return -1;
}

int netstring_get(struct netstring_reader *r, size_t max, const char **data, size_t *len)
{
  *data = "";
  *len = 0;
  if (r->bad) {
    return -1;
  }

  size_t left = (size_t)(r->end - r->next);
  size_t digits = scan_digits(r->next, left);
  uint64_t n = 0;
  if (digits == left || r->next[digits] != ':' || (digits > 1 && r->next[0] == '0')) {
    return spoil(r);
  }
  if (scan_u64(r->next, digits, max, &n) < 0) {
    return spoil(r);
  }
  left -= digits + 1;
  const char *field = r->next + digits + 1;
  if (left <= n || field[n] != ',') { /* n bytes and the comma */
    return spoil(r);
  }
  *data = field;
  *len = (size_t)n;
  r->next = field + n + 1;
  return 0;
}

int netstring_get_u64(struct netstring_reader *r, uint64_t max, uint64_t *value)
{
  const char *data;
  size_t len;

  *value = 0;
  if (netstring_get(r, U64_DIGITS_MAX, &data, &len) < 0) {
    return -1;
  }
  return scan_u64(data, len, max, value) < 0 ? spoil(r) : 0;
}

int netstring_get_str(struct netstring_reader *r, char *s, size_t size)
{
  const char *data;
  size_t len;

  if (size == 0) {
    return spoil(r);
  }
  s[0] = '\0';
  if (netstring_get(r, size - 1, &data, &len) < 0) {
    return -1;
  }
  if (memchr(data, '\0', len)) {
    return spoil(r);
  }
  memcpy(s, data, len);
  s[len] = '\0';
  return 0;
}

int netstring_get_char(struct netstring_reader *r, char *c)
{
  const char *data;
  size_t len;

  *c = '\0';
  if (netstring_get(r, 1, &data, &len) < 0) {
    return -1;
  }
  if (len != 1 || data[0] == '\0') {
    return spoil(r);
  }
  *c = data[0];
  return 0;
}

bool netstring_more(const struct netstring_reader *r)
{
  return !r->bad && r->next < r->end;
}

int netstring_end(const struct netstring_reader *r)
{
  return r->bad || r->next != r->end ? -1 : 0;
}
