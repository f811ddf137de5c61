/*
 * The growable buffer. One byte more than cap is always allocated: vsnprintf's
 * and buf_cstr()'s NUL goes there, so a buffer can be filled to its maximum by
 * buf_printf() and can still be read as a string.
 */
#include "buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_CAP 64

void buf_init(struct buf *b, size_t max)
{
  *b = BUF_INIT(max);
}

void buf_free(struct buf *b)
{
  free(b->data);
  *b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
  b->len = 0;
}

int buf_reserve(struct buf *b, size_t extra)
{
  if (b->len > b->max || extra > b->max - b->len) {
    errno = EMSGSIZE;
    return -1;
  }
  if (extra <= b->cap - b->len) {
    return 0;
  }

  size_t want = b->len + extra;
  size_t cap = b->cap ? 2 * b->cap : BUF_FIRST_CAP;
  /* Doubled, so that n appended bytes cost O(n) copying. No overflow: see PTRDIFF_MAX. */
  cap = cap < want ? want : cap;
  cap = cap > b->max ? b->max : cap;
  if (cap >= PTRDIFF_MAX) {
    errno = ENOMEM;
    return -1;
  }
  char *data = realloc(b->data, cap + 1);
  if (!data) {
    errno = ENOMEM;
    return -1;
  }
  b->data = data;
  b->cap = cap;
  return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
  if (len == 0) {
    return 0; /* data may be NULL, which memcpy may not be given */
  }
  if (buf_reserve(b, len) < 0) {
    return -1;
  }
  memcpy(b->data + b->len, data, len);
  b->len += len;
  return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
  return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
  return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
  va_list ap;

  va_start(ap, format);
  int result = buf_vprintf(b, format, ap);
  va_end(ap);
  return result;
}

int buf_vprintf(struct buf *b, const char *format, va_list ap)
{
  va_list again;
  size_t room = b->data ? b->cap - b->len + 1 : 0;

  va_copy(again, ap);
  /* Mostly there is room at once; if not, this pass has measured. */
  int n = vsnprintf(room ? b->data + b->len : NULL, room, format, ap);
  int result = n < 0 ? -1 : 0;
  if (n > 0 && (size_t)n >= room) {
    result = buf_reserve(b, (size_t)n);
    if (result == 0) {
      n = vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
      result = n < 0 ? -1 : 0;
    }
  }
  va_end(again);
  if (result == 0) {
    b->len += (size_t)n;
  }
  return result;
}

void buf_consume(struct buf *b, size_t n)
{
  n = n > b->len ? b->len : n;
  if (n == 0) {
    return;
  }
  b->len -= n;
  memmove(b->data, b->data + n, b->len);
}

const char *buf_cstr(struct buf *b)
{
  if (!b->data) {
    return "";
  }
  b->data[b->len] = '\0';
  return b->data;
}
