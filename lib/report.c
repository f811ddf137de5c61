#include "report.h"

#include "escape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REPORT_LINE_MAX 4096 /* PIPE_BUF: a write of this much is never mixed with another's */

static const char *program = "relay";

void report_program(const char *name)
{
  program = name;
}

const char *report_name(void)
{
  return program;
}

/* What snprintf() really left in a buffer of size bytes. */
static size_t stored(int n, size_t size)
{
  if (n < 0) {
    return 0;
  }
  return (size_t)n < size ? (size_t)n : size - 1;
}

/* The text is formatted whole, then escaped, so that no argument can break the line. */
__attribute__((format(printf, 3, 0))) static void emit(const char *level, int error,
                                                       const char *format, va_list ap)
{
  char text[REPORT_LINE_MAX], line[REPORT_LINE_MAX];
  size_t len, n;
  ssize_t ignored;
  int saved = errno;

  len = stored(snprintf(text, sizeof(text), "%s: %s: ", program, level), sizeof(text));
  len += stored(vsnprintf(text + len, sizeof(text) - len, format, ap), sizeof(text) - len);
  if (error) {
    len +=
      stored(snprintf(text + len, sizeof(text) - len, ": %s", strerror(error)), sizeof(text) - len);
  }
  escape_text(text, len, line, sizeof(line) - 1, &n);
  line[n++] = '\n';
  do {
    ignored = write(2, line, n);
  } while (ignored == -1 && errno == EINTR);
  errno = saved;
}

#define EMIT(level, error)                                                                         \
  do {                                                                                             \
    va_list ap;                                                                                    \
    va_start(ap, format);                                                                          \
    emit((level), (error), format, ap);                                                            \
    va_end(ap);                                                                                    \
  } while (0)

void report_warning(const char *format, ...)
{
  EMIT("warning", 0);
}

void report_fatal(const char *format, ...)
{
  EMIT("fatal", 0);
}

void report_info(const char *format, ...)
{
  EMIT("info", 0);
}

void report_warning_errno(const char *format, ...)
{
  EMIT("warning", errno);
}

void report_fatal_errno(const char *format, ...)
{
  EMIT("fatal", errno);
}
