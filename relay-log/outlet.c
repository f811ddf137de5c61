#include "outlet.h"

#include "pattern.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What patterns that were written for "multilog t" see in place of the stamp (tai64n). */
static const char stamp[] = "@400000000000000000000000 ";

void outlet_flush(struct outlet *o)
{
  if (o->len > 0) {
    o->write(o->arg, o->data, o->len);
    o->len = 0;
  }
}

static bool selected(struct outlet *o, const char *head, size_t head_len, const char *text,
                     size_t len)
{
  size_t n = o->stamped ? sizeof stamp - 1 : 0;

  memcpy(o->whole, stamp, n);
  memcpy(o->whole + n, head, head_len);
  n += head_len;
  if (len > sizeof o->whole - n) {
    len = sizeof o->whole - n;
  }
  memcpy(o->whole + n, text, len);
  return pattern_selects(o->actions, o->action_count, o->whole, n + len);
}

/* Room for one line. */
static char *room(struct outlet *o)
{
  if (sizeof o->data - o->len < LOGLINES_WRITE_MAX) {
    outlet_flush(o);
  }
  return o->data + o->len;
}

void outlet_put(struct outlet *o, uint32_t pid, char direction, const char *text, size_t len,
                size_t more)
{
  char head[24];
  size_t n;

  if (o->action_count > 0) {
    n = (size_t)snprintf(head, sizeof head, "%lu %c ", (unsigned long)pid, direction);
    if (!selected(o, head, n, text, len)) {
      return;
    }
  }
  o->len += loglines_format(room(o), (pid_t)pid, direction, text, len, more);
}

void outlet_str(struct outlet *o, uint32_t pid, char direction, const char *text)
{
  outlet_put(o, pid, direction, text, strlen(text), 0);
}

void outlet_printf(struct outlet *o, uint32_t pid, char direction, const char *format, ...)
{
  char text[256];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  outlet_str(o, pid, direction, text);
}

void outlet_foreign(struct outlet *o, const char *text, size_t len, size_t more)
{
  if (o->action_count == 0 || selected(o, "", 0, text, len)) {
    o->len += loglines_fill(room(o), 0, text, len, more);
  }
}
