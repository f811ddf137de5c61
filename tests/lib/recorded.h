#ifndef RECORDED_H
#define RECORDED_H

#include "buf.h"
#include "follow.h"

#include <stdio.h>
#include <string.h>

/*
 * For tests of follow.h: writes what is said as recordio would (pieces of at
 * most a given size), reads it with a follow, and collects what comes out.
 */
struct recorded {
  struct follow follow;
  struct outlet *outlet;
  struct buf out;
  size_t piece;
};

static inline void recorded_write(void *arg, const char *data, size_t len)
{
  buf_append(arg, data, len);
}

static inline void recorded_begin(struct recorded *r, enum follow_protocol protocol,
                                  struct outlet *outlet, const char *names, size_t piece,
                                  size_t sessions)
{
  r->outlet = outlet;
  outlet->actions = NULL;
  outlet->action_count = 0;
  outlet->stamped = false;
  outlet->len = 0;
  outlet->write = recorded_write;
  outlet->arg = &r->out;
  fieldnames_parse(&outlet->fields, names);
  r->out = BUF_INIT(1 << 24);
  r->piece = piece;
  follow_init(&r->follow, protocol, outlet, sessions);
}

static inline void recorded_line(struct recorded *r, const char *line)
{
  follow_line(&r->follow, line, strlen(line), 0);
}

/* One read of recordio's: it splits at newlines, and marks where there is none. */
static inline void recorded_read(struct recorded *r, unsigned pid, char direction, const char *p,
                                 size_t len)
{
  char line[512];

  while (len > 0) {
    const char *newline = memchr(p, '\n', len);
    size_t n = newline ? (size_t)(newline - p) : len;
    int head = snprintf(line, sizeof line, "%u %c ", pid, direction);
    memcpy(line + head, p, n);
    line[(size_t)head + n] = newline ? ' ' : '+';
    follow_line(&r->follow, line, (size_t)head + n + 1, 0);
    n += newline != NULL;
    p += n;
    len -= n;
  }
}

/* What one side says, in reads of r->piece bytes (at most 256). */
static inline void recorded_bytes(struct recorded *r, unsigned pid, char direction, const char *p,
                                  size_t len)
{
  while (len > 0) {
    size_t n = len < r->piece ? len : r->piece;
    recorded_read(r, pid, direction, p, n);
    p += n;
    len -= n;
  }
}

static inline const char *recorded_end(struct recorded *r)
{
  follow_end(&r->follow);
  outlet_flush(r->outlet);
  follow_free(&r->follow);
  return buf_cstr(&r->out);
}

#endif
