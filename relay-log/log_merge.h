#ifndef LOG_MERGE_H
#define LOG_MERGE_H

#include "log_follow.h"

/*
 * Several directories followed as one log, by time stamp: of what is there,
 * the earliest line comes first. Lines without a stamp keep their place
 * behind the one before.
 */
#define LOG_MERGE_MAX 64 /* directories */

struct log_merge {
  struct log_follow follow[LOG_MERGE_MAX];
  unsigned count;
  struct {
    bool ready;
    unsigned rest; /* so many lines of others before it is looked at again */
    struct log_raw raw;
    struct log_line line;
    int64_t at; /* of the line, or of the last one that had a stamp */
  } head[LOG_MERGE_MAX];
};

struct log_entry {
  unsigned directory;
  struct log_raw raw;
  struct log_line line; /* direction 0 and at 0: it has no stamp */
};

/* 0, or -1 with errno. directory is kept, not copied. */
int log_merge_add(struct log_merge *m, const char *directory);
void log_merge_close(struct log_merge *m);

/*
 * 1: *entry is the next line, until the next call. 0: there is none now. -1
 * with errno, *failed the directory. The line counts as taken at once.
 */
int log_merge_next(struct log_merge *m, struct log_entry *entry, unsigned *failed);

#endif
