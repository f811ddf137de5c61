#ifndef LOG_ARCHIVE_H
#define LOG_ARCHIVE_H

#include "log_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * All that a multilog directory holds at this moment, mapped into memory, to
 * be searched and walked back and forth. What multilog rotates away or deletes
 * meanwhile stays readable; what it writes after the opening is not seen. A
 * last line of current that is not whole is left out.
 */
struct log_file {
  const char *data; /* whole lines */
  size_t size;
  int64_t last; /* the stamp of its last line; INT64_MAX if that has none */
};

struct log_archive {
  const char *directory; /* the caller's */
  struct log_file *files;
  unsigned count;
};

/* A line: where it begins. */
struct log_place {
  unsigned file;
  size_t offset;
};

/* 0, or -1 with errno, closed. */
int log_archive_open(struct log_archive *a, const char *directory);
void log_archive_close(struct log_archive *a);

/* The line at a place, without its end. */
struct log_text log_archive_line(const struct log_archive *a, struct log_place place);
/* The line around an offset of a file. */
struct log_place log_archive_around(const struct log_archive *a, unsigned file, size_t offset);
/* The line after or before that one, into the neighbouring files. False: there is none. */
bool log_archive_next(const struct log_archive *a, struct log_place *place);
bool log_archive_previous(const struct log_archive *a, struct log_place *place);

/*
 * A look at a line that costs little, for those who walk over many: does it
 * belong to pid ("PID < ...", "tcpserver: ... PID")?
 */
bool log_archive_is_of(struct log_text line, const char *pid, size_t pid_len);

#endif
