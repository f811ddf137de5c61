#ifndef LOG_FOLLOW_H
#define LOG_FOLLOW_H

#include "log_line.h"
#include "tai64n.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads a multilog directory line by line, each line once, over rotations, and
 * goes on where an earlier run stopped. It only reads: multilog never waits
 * for it and does not know of it.
 *
 * A file is known by the stamp of its first line, which stays when multilog
 * renames it and is never used twice; its place by the bytes that were taken.
 * The order is that of log_dir.h; a file that was read to its end and rotated
 * is left for the next one that has something new.
 */
#define LOG_FOLLOW_LINE_MAX 65536 /* bytes; the rest of a longer line is left out */

struct log_mark {
  char file[TAI64N_LENGTH + 1];
  uint64_t offset;
  uint64_t saved; /* what offset was then; 0: never */
  bool changed;   /* since log_follow_saved() */
  bool there;     /* false: multilog has deleted the file */
};

struct log_follow {
  const char *directory; /* the caller's */
  struct log_mark *marks;
  size_t mark_count;
  /* the file under way */
  int fd;
  size_t mark; /* its mark */
  bool rotated;
  bool skipping;   /* the rest of a line that was too long */
  uint64_t offset; /* of buffer[0] */
  size_t len;      /* bytes in buffer */
  size_t taken;    /* of these, lines that were taken */
  size_t line;     /* length of the line that stands at taken, its end included; 0: none yet */
  char *buffer;
};

struct log_raw {
  struct log_text text;
  const char *file; /* the mark's */
  uint64_t offset;  /* of the line in its file */
};

/* 0, or -1 with errno. */
int log_follow_open(struct log_follow *f, const char *directory);
void log_follow_close(struct log_follow *f);

/* Before the first line: so much of that file was taken already. 0 or -1 (ENOMEM). */
int log_follow_resume(struct log_follow *f, const char *file, uint64_t offset);
/* Before the first line: all that is there now counts as taken. 0, or -1 with errno. */
int log_follow_skip(struct log_follow *f);

/*
 * 1: raw is the next line, until the next call. 0: there is none now. -1 with
 * errno; EPROTO: a file's first line has no stamp (multilog without t).
 */
int log_follow_peek(struct log_follow *f, struct log_raw *raw);
/* The line that was peeked at is done with: the next peek is the one after it. */
void log_follow_take(struct log_follow *f);

/* The marks as they are now are kept somewhere: nothing is changed any more, deleted files go. */
void log_follow_saved(struct log_follow *f);

#endif
