/* Standard input to CRLF lines, byte by byte through a small state machine. */
#include "inject_input.h"

#include "io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_SIZE 65536

struct reader {
  struct inject_input *in;
  uint64_t max, total;
  bool dot_ends;
  bool after_cr; /* a CR came, its LF may follow */
  bool in_header;
  bool at_line_start; /* of the output */
  bool lone_dot;      /* the line so far is one dot, held back */
  bool ended;         /* by that dot */
  struct buf out;     /* on its way to in */
};

static int open_rest(void)
{
  const char *directory = getenv("TMPDIR");
  char path[4096];

  snprintf(path, sizeof path, "%s/relay-inject.XXXXXX",
           directory && *directory ? directory : "/tmp");
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd >= 0) {
    unlink(path);
  }
  return fd;
}

static enum inject_input_result flush(struct reader *r)
{
  struct inject_input *in = r->in;
  size_t room = INJECT_HEAD_MAX - in->head.len;
  size_t n = r->out.len < room ? r->out.len : room;

  r->total += r->out.len;
  if (r->total > r->max) {
    return INJECT_INPUT_TOO_BIG;
  }
  if (buf_append(&in->head, r->out.data, n) < 0) {
    return INJECT_INPUT_WRITE;
  }
  if (n < r->out.len) {
    if (in->rest_fd < 0 && (in->rest_fd = open_rest()) < 0) {
      return INJECT_INPUT_WRITE;
    }
    if (io_write_all(in->rest_fd, r->out.data + n, r->out.len - n, IO_FOREVER) < 0) {
      return INJECT_INPUT_WRITE;
    }
    in->rest_len += r->out.len - n;
  }
  buf_reset(&r->out);
  return INJECT_INPUT_OK;
}

/* The line that begins with the dot goes on: it is no end of the message. */
static void release_dot(struct reader *r)
{
  if (r->lone_dot) {
    r->lone_dot = false;
    r->at_line_start = false;
    buf_append_char(&r->out, '.');
  }
}

/* out has room: take() has reserved for what a byte may become. */
static void put(struct reader *r, char c)
{
  release_dot(r);
  r->at_line_start = false;
  r->in->eight_bit = r->in->eight_bit || (unsigned char)c >= 0x80;
  buf_append_char(&r->out, c);
}

static void end_line(struct reader *r)
{
  if (r->lone_dot && r->dot_ends) {
    r->ended = true;
    return;
  }
  release_dot(r);
  r->in_header = r->in_header && !r->at_line_start;
  buf_append(&r->out, "\r\n", 2);
  r->at_line_start = true;
}

static void lone_cr(struct reader *r)
{
  release_dot(r); /* only LF and CRLF behind a dot end the message */
  if (r->in_header) {
    put(r, ' ');
  } else {
    end_line(r);
  }
}

static enum inject_input_result take(struct reader *r, const char *data, size_t len)
{
  if (buf_reserve(&r->out, 3 * len + 8) < 0) {
    return INJECT_INPUT_WRITE;
  }
  for (size_t i = 0; i < len && !r->ended; i++) {
    char c = data[i];
    if (r->after_cr && c != '\n') {
      lone_cr(r);
    }
    r->after_cr = c == '\r';
    if (c == '\0') {
      return INJECT_INPUT_NUL;
    }
    if (c == '\n') {
      end_line(r);
    } else if (c == '.' && r->at_line_start && !r->lone_dot) {
      r->lone_dot = true;
    } else if (c != '\r') {
      put(r, c);
    }
  }
  return flush(r);
}

/* The last line may lack its end. */
static enum inject_input_result finish(struct reader *r)
{
  if (r->after_cr && !r->ended) {
    r->in_header = false;
    lone_cr(r);
  }
  if (!r->ended && (!r->at_line_start || r->lone_dot)) {
    end_line(r);
  }
  return flush(r);
}

enum inject_input_result inject_input_read(struct inject_input *in, int fd, bool dot_ends,
                                           uint64_t max)
{
  struct reader r = {
    .in = in, .max = max, .dot_ends = dot_ends, .in_header = true, .at_line_start = true};
  static char data[READ_SIZE];
  enum inject_input_result result = INJECT_INPUT_OK;

  *in = (struct inject_input){.rest_fd = -1};
  buf_init(&in->head, INJECT_HEAD_MAX);
  buf_init(&r.out, 4 * READ_SIZE);
  while (result == INJECT_INPUT_OK && !r.ended) {
    ssize_t n = io_read(fd, data, sizeof data, IO_FOREVER);
    if (n < 0) {
      result = INJECT_INPUT_READ;
    } else if (n == 0) {
      result = finish(&r);
      break;
    } else {
      result = take(&r, data, (size_t)n);
    }
  }
  buf_free(&r.out);
  return result;
}

void inject_input_free(struct inject_input *in)
{
  buf_free(&in->head);
  if (in->rest_fd >= 0) {
    close(in->rest_fd);
  }
  in->rest_fd = -1;
}
