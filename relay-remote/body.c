/* Content to the wire: CRLF lines, dots stuffed, nothing else. */
#include "body.h"

#include "crlf.h"

#include <string.h>

void body_init(struct body *b)
{
  *b = (struct body){0};
}

static char *put_crlf(struct body *b, char *out)
{
  b->inside_line = false;
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

bool body_plain(struct body *b, const char *data, size_t len)
{
  size_t i;

  if (len == 0 || b->cr || data[0] == '\n' || (data[0] == '.' && !b->inside_line) ||
      data[len - 1] == '\r') {
    return false;
  }
  i = 1 + crlf_plain(data + 1, len - 1, NULL);
  if (len - i >= CRLF_BLOCK || crlf_odd(data + i, len - i)) {
    return false;
  }
  b->inside_line = data[len - 1] != '\n';
  return true;
}

size_t body_encode(struct body *b, const char *data, size_t len, char *out)
{
  const char *p = data, *end = data + len, *line_end, *cr, *stop;
  char *o = out;

  while (p < end) {
    if (b->cr) {
      b->cr = false;
      if (*p == '\n') {
        o = put_crlf(b, o);
        p++;
        continue;
      }
      b->inside_line = true;
      *o++ = ' ';
    }
    if (*p == '.' && !b->inside_line) {
      *o++ = '.';
    }
    line_end = memchr(p, '\n', (size_t)(end - p));
    stop = line_end ? line_end : end;
    cr = memchr(p, '\r', (size_t)(stop - p));
    stop = cr ? cr : stop;
    if (stop > p) {
      memcpy(o, p, (size_t)(stop - p));
      o += stop - p;
      b->inside_line = true;
    }
    p = stop;
    if (cr) {
      b->cr = true;
      p++;
    } else if (line_end) {
      o = put_crlf(b, o);
      p++;
    }
  }
  return (size_t)(o - out);
}

size_t body_end(struct body *b, char *out)
{
  char *o = out;

  if (b->inside_line || b->cr) {
    o = put_crlf(b, o);
  }
  b->cr = false;
  memcpy(o, ".\r\n", 3);
  return (size_t)(o + 3 - out);
}
