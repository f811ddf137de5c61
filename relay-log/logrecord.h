#ifndef LOGRECORD_H
#define LOGRECORD_H

#include <stddef.h>
#include <stdint.h>

/*
 * What one line of a service's log is. No I/O, nothing copied.
 *
 *   19799 < MAIL FROM:<a@example.com>        relay's own: a whole line (loglines.h)
 *   19799 < MAIL FROM:<a@exam+               recordio's: a piece without its newline
 *   19799 < ple.com>\r                       recordio's: up to the newline, a blank behind it
 *   19799 > [EOF]                            recordio's: the end of what is written
 *   19799 = accept id=...                    relay's own facts
 *   tcpserver: pid 19799 from 127.0.0.1      begins a session, as "ok" does
 *   tcpserver: end 19799 status 0
 *   anything else                            foreign: a program's diagnostics
 *
 * recordio writes each of its lines in one piece, and marks each, so nothing
 * that a peer sends can look like a line of another kind.
 */
enum logrecord_kind { LOGRECORD_FOREIGN, LOGRECORD_BEGIN, LOGRECORD_END, LOGRECORD_SESSION };

enum logrecord_mark {
  LOGRECORD_UNMARKED, /* not recordio's */
  LOGRECORD_NEWLINE,
  LOGRECORD_PIECE,
  LOGRECORD_EOF
};

struct logrecord {
  enum logrecord_kind kind;
  uint32_t pid;   /* unless foreign */
  char direction; /* '<', '>' or '=', of a session */
  enum logrecord_mark mark;
  const char *text; /* behind "PID < ", the mark included */
  size_t len;
  size_t bytes; /* of text, without the mark: what recordio was given, but for the newline */
};

/* line has no newline. */
void logrecord_parse(struct logrecord *r, const char *line, size_t len);

/*
 * Where a session's line begins inside a foreign one: a program wrote the start
 * of a line to fd 2 and recordio wrote behind it. len if nowhere.
 */
size_t logrecord_glued(const char *line, size_t len);

#endif
