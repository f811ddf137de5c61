#ifndef MXREPLY_H
#define MXREPLY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The parser of an MX's replies (RFC 5321 4.2), fed as the bytes come. Pure.
 * What is over a limit or not of the form "250-text", "250 text" or "250" is
 * garbled: nothing can be concluded from it, and what follows on the
 * connection cannot be trusted to be in step.
 */
#define MXREPLY_LINE_MAX 2048   /* bytes; RFC 5321 4.5.3.1.5 allows 512, some send more */
#define MXREPLY_LINES_MAX 200   /* lines; the longest EHLO replies have some 25 */
#define MXREPLY_BYTES_MAX 65536 /* in all lines */
#define MXREPLY_TEXT_MAX 4096   /* bytes kept of the text */

enum mxreply_result {
  MXREPLY_MORE,   /* all bytes are used, the line is not complete */
  MXREPLY_LINE,   /* a line is complete, others follow */
  MXREPLY_DONE,   /* the last line is complete */
  MXREPLY_GARBLED /* the reply is of no use and so is the connection */
};

struct mxreply {
  int code; /* 200 to 599 */
  unsigned lines;
  char text[MXREPLY_TEXT_MAX]; /* "550 5.1.1 no such user": code, then the lines joined by blanks,
                                  cut */
  size_t text_len;
  char line[MXREPLY_LINE_MAX]; /* the line that was completed, without its end */
  size_t line_len;
  /* mxreply.c's own: */
  size_t bytes;
  bool line_complete, ended;
};

void mxreply_reset(struct mxreply *r);

/* Takes bytes up to the end of one line; *used is how many. After MXREPLY_DONE: mxreply_reset(). */
enum mxreply_result mxreply_feed(struct mxreply *r, const char *data, size_t len, size_t *used);

/* What follows code and separator in the completed line. */
const char *mxreply_line_text(const struct mxreply *r, size_t *len);

#endif
