#include "loglines.h"

#include "escape.h"
#include "io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD_MAX 24
#define ORDINARY_LINE 512
#define NOTE_SIZE 80 /* "PID = dropped lines=N\n" */

void loglines_init(struct loglines *log, int fd, bool lossy)
{
  *log = (struct loglines){.fd = fd, .pid = getpid(), .lossy = lossy};
}

static unsigned long count_lines(const char *s, size_t len)
{
  unsigned long n = 0;
  const char *end;

  while ((end = memchr(s, '\n', len))) {
    n++;
    len -= (size_t)(end + 1 - s);
    s = end + 1;
  }
  return n;
}

/* How much a log that must not block takes now. A log without a reader takes everything. */
static size_t write_ready(int fd, const char *data, size_t len)
{
  size_t done = 0;
  ssize_t n;

  while (done < len) {
    n = write(fd, data + done, len - done);
    if (n >= 0) {
      done += (size_t)n;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return done;
    } else if (errno != EINTR) {
      return len;
    }
  }
  return done;
}

/*
 * After done bytes of out were written: drops and counts the other lines. Only
 * the rest of a line that was cut in the middle (never on a pipe, whose writes
 * of PIPE_BUF are whole; on a terminal or a socket) is kept for later.
 */
static void drop_lines(struct loglines *log, size_t done)
{
  const char *rest = log->out + done, *end;
  size_t keep = 0;

  log->torn = log->torn || (done > 0 && log->out[done - 1] != '\n');
  if (log->torn) {
    end = memchr(rest, '\n', log->len - done);
    keep = end ? (size_t)(end + 1 - rest) : log->len - done;
  }
  log->dropped += count_lines(rest + keep, log->len - done - keep);
  memmove(log->out, rest, keep);
  log->len = keep;
}

/* The rest of a torn line goes before anything else. True when it is out. */
static bool mend(struct loglines *log)
{
  const char *end = memchr(log->out, '\n', log->len);
  size_t len = end ? (size_t)(end + 1 - log->out) : log->len;
  size_t done = write_ready(log->fd, log->out, len);

  if (done < len) {
    drop_lines(log, done);
    return false;
  }
  log->torn = false;
  log->len -= len;
  memmove(log->out, log->out + len, log->len);
  return true;
}

/* Says how many lines are missing, where they are missing. True when that is out. */
static bool write_note(struct loglines *log)
{
  char note[NOTE_SIZE];
  size_t len, done;

  len =
    (size_t)snprintf(note, sizeof(note), "%ld = dropped lines=%lu\n", (long)log->pid, log->dropped);
  done = write_ready(log->fd, note, len);
  if (done == 0) {
    drop_lines(log, 0);
    return false;
  }
  log->dropped = 0;
  if (done < len) {
    drop_lines(log, 0);
    memcpy(log->out, note + done, len - done);
    log->len = len - done;
    log->torn = true;
    return false;
  }
  return true;
}

static void flush_lossy(struct loglines *log)
{
  size_t done;

  if (log->torn && !mend(log)) {
    return;
  }
  if (log->dropped > 0 && !write_note(log)) {
    return;
  }
  done = write_ready(log->fd, log->out, log->len);
  if (done < log->len) {
    drop_lines(log, done);
    return;
  }
  log->len = 0;
}

void loglines_flush(struct loglines *log)
{
  int saved = errno;

  if (log->lossy) {
    flush_lossy(log);
  } else {
    /* EPIPE and the like: nobody reads the log, and mail goes on. */
    io_write_all(log->fd, log->out, log->len, IO_FOREVER);
    log->len = 0;
  }
  errno = saved;
}

static size_t fill_line(char line[LOGLINES_WRITE_MAX], size_t start, const char *text, size_t len)
{
  return loglines_fill(line, start, text, len, 0);
}

/*
 * The mark's number is wider the more is left out, and a wider mark leaves more
 * out, so the widths are tried from the narrowest.
 */
size_t loglines_fill(char line[LOGLINES_WRITE_MAX], size_t start, const char *text, size_t len,
                     size_t more)
{
  size_t room = LOGLINES_WRITE_MAX - 1 - start, taken, n, mark_len, digits;
  char mark[40];

  taken = escape_text(text, len, line + start, room, &n);
  for (digits = 1; taken < len || more > 0; digits++) {
    mark_len = strlen(" [cut ]") + digits;
    taken = escape_text(text, len, line + start, room - mark_len, &n);
    if ((size_t)snprintf(mark, sizeof(mark), " [cut %zu]", len - taken + more) <= mark_len) {
      mark_len = strlen(mark);
      memcpy(line + start + n, mark, mark_len);
      n += mark_len;
      break;
    }
  }
  line[start + n] = '\n';
  return start + n + 1;
}

/* "PID < ", HEAD_MAX bytes at most. Not snprintf(): a message has some twenty lines. */
static size_t put_head(char *line, pid_t pid, char direction)
{
  char digits[24];
  size_t at = sizeof(digits), n;

  do {
    digits[--at] = (char)('0' + pid % 10);
    pid /= 10;
  } while (pid > 0);
  n = sizeof(digits) - at;
  memcpy(line, digits + at, n);
  line[n++] = ' ';
  line[n++] = direction;
  line[n++] = ' ';
  return n;
}

/* The whole line into room bytes; its length, or 0 if it has no room there. */
static size_t put_line(char *line, size_t room, pid_t pid, char direction, const char *text,
                       size_t len)
{
  size_t start, n;

  if (room <= HEAD_MAX) {
    return 0;
  }
  start = put_head(line, pid, direction);
  if (escape_text(text, len, line + start, room - start - 1, &n) < len) {
    return 0;
  }
  line[start + n] = '\n';
  return start + n + 1;
}

/* Made where it stays: no copy, and no pages of stack, which a short process pays for. */
void loglines_put(struct loglines *log, char direction, const char *text, size_t len)
{
  char *end = log->out + log->len;
  size_t n = put_line(end, sizeof(log->out) - log->len, log->pid, direction, text, len);

  if (n == 0) {
    loglines_flush(log);
    end = log->out + log->len;
    if (log->len == 0) {
      n = fill_line(end, put_head(end, log->pid, direction), text, len);
    } else { /* behind the rest of a torn line */
      n = put_line(end, sizeof(log->out) - log->len, log->pid, direction, text, len);
      log->dropped += n == 0;
    }
  }
  log->len += n;
}

void logline_str(struct logline *line, const char *s)
{
  size_t len = strnlen(s, sizeof(line->text) - line->len);

  memcpy(line->text + line->len, s, len);
  line->len += len;
}

void logline_u64(struct logline *line, uint64_t value)
{
  char digits[24];
  size_t at = sizeof(digits);

  digits[--at] = '\0';
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  logline_str(line, digits + at);
}

/* Apart, because of its stack: a short process pays for each page that it touches. */
__attribute__((noinline)) static void printf_long(struct loglines *log, char direction,
                                                  const char *format, va_list ap)
{
  char text[LOGLINES_WRITE_MAX * 2]; /* more than a line, so that the cut shows */
  int n = vsnprintf(text, sizeof(text), format, ap);

  if (n >= 0) {
    loglines_put(log, direction, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
  }
}

void loglines_printf(struct loglines *log, char direction, const char *format, ...)
{
  char text[ORDINARY_LINE];
  va_list ap;
  int n;

  va_start(ap, format);
  n = vsnprintf(text, sizeof(text), format, ap);
  va_end(ap);
  if (n >= 0 && (size_t)n < sizeof(text)) {
    loglines_put(log, direction, text, (size_t)n);
  } else if (n >= 0) {
    va_start(ap, format);
    printf_long(log, direction, format, ap);
    va_end(ap);
  }
}

size_t loglines_format(char line[LOGLINES_WRITE_MAX], pid_t pid, char direction, const char *text,
                       size_t len, size_t more)
{
  return loglines_fill(line, put_head(line, pid, direction), text, len, more);
}
