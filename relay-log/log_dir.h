#ifndef LOG_DIR_H
#define LOG_DIR_H

#include "tai64n.h"

#include <stddef.h>

/*
 * The files of a directory that multilog writes: the rotated ones (@STAMP.s,
 * and .u of a multilog that was killed) in the order of their names, which is
 * that of their ends, then current. Other files are not of the log.
 */
#define LOG_NAME_SIZE (TAI64N_LENGTH + 3)

struct log_dir {
  size_t count;
  char (*names)[LOG_NAME_SIZE]; /* malloced */
};

/* 0, or -1 with errno. A directory without a log in it is an empty list. */
int log_dir_list(const char *directory, struct log_dir *list);
void log_dir_free(struct log_dir *list);

/* 1: it has a log, perhaps an empty one; 0: it has none; -1 with errno. */
int log_dir_has_log(const char *directory);

/*
 * The directory to read where somebody names one: directory itself if it has
 * a current or rotated files, else its main/ if it has one (a service's log/).
 * Returns a malloced real path, or NULL with errno.
 */
char *log_dir_find(const char *directory);

#endif
