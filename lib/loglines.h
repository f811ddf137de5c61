#ifndef LOGLINES_H
#define LOGLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Log lines in recordio's shape, "PID < text" (read from the peer), "PID >
 * text" (written to it) and "PID = key=value ...": as many whole lines as are
 * ready go in one write of at most 4096 bytes (PIPE_BUF: such writes never
 * mix). A longer line is cut at 4096 and ends in " [cut N]", N the bytes left
 * out. Control bytes and what is not UTF-8 are written as \xHH.
 *
 * A blocking log (relay-smtpd, workers) waits for its reader. A lossy log
 * (relay-queue, relay-send, whose fd 2 is a non-blocking open file of their
 * own) counts what a full pipe would not take and later writes a line with
 * "= dropped lines=N".
 */
#define LOGLINES_WRITE_MAX 4096

struct loglines {
  int fd;
  pid_t pid;
  bool lossy;
  unsigned long dropped;
  bool torn; /* out begins with the rest of a line that was partly written */
  size_t len;
  char out[LOGLINES_WRITE_MAX];
};

void loglines_init(struct loglines *log, int fd, bool lossy);

/* direction is '<', '>' or '='. text has no line end. */
void loglines_put(struct loglines *log, char direction, const char *text, size_t len);
void loglines_printf(struct loglines *log, char direction, const char *format, ...)
  __attribute__((format(printf, 3, 4)));

/*
 * A line put together in parts, for those that each message has: printf() is
 * some ten times slower. What is too much is cut by loglines_put().
 */
struct logline {
  size_t len;
  char text[2 * LOGLINES_WRITE_MAX];
};

void logline_str(struct logline *line, const char *s);
void logline_u64(struct logline *line, uint64_t value);

/*
 * One line of that form, its newline included, at most LOGLINES_WRITE_MAX
 * bytes; more is how many bytes of text are left out already. The length.
 */
size_t loglines_format(char line[LOGLINES_WRITE_MAX], pid_t pid, char direction, const char *text,
                       size_t len, size_t more);

/* The same behind the start bytes that are in line already. */
size_t loglines_fill(char line[LOGLINES_WRITE_MAX], size_t start, const char *text, size_t len,
                     size_t more);

/* Before every wait. */
void loglines_flush(struct loglines *log);

#endif
