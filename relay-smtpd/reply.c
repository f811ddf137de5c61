#include "reply.h"

#include "clock.h"
#include "io.h"
#include "tls_pump.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reply_line(struct reply *r, const char *text)
{
  size_t len = strlen(text);
  char *out;

  len = len > REPLY_LINE_MAX - 2 ? REPLY_LINE_MAX - 2 : len;
  if (len + 2 > sizeof r->bytes - r->len) {
    reply_flush(r);
  }
  out = r->bytes + r->len;
  for (size_t i = 0; i < len; i++) {
    out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
  }
  loglines_put(r->log, '>', out, len);
  memcpy(out + len, "\r\n", 2);
  r->len += len + 2;
}

void reply_printf(struct reply *r, const char *format, ...)
{
  char text[2 * REPLY_LINE_MAX];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  reply_line(r, text);
}

void reply_flush(struct reply *r)
{
  int64_t deadline = clock_monotonic_ms() + r->timeout_ms;

  if (r->len > 0 && !r->broken) {
    r->broken = (r->tls ? tls_pump_write_all(r->tls, r->bytes, r->len, deadline)
                        : io_write_all(r->fd, r->bytes, r->len, deadline)) < 0;
  }
  r->len = 0;
}
