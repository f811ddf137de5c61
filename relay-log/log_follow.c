#include "log_follow.h"

#include "io.h"
#include "log_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_SIZE (4 * LOG_FOLLOW_LINE_MAX)

int log_follow_open(struct log_follow *f, const char *directory)
{
  *f = (struct log_follow){.directory = directory, .fd = -1};
  f->buffer = malloc(BUFFER_SIZE);
  return f->buffer ? 0 : -1;
}

static void close_file(struct log_follow *f)
{
  if (f->fd != -1) {
    close(f->fd);
  }
  f->fd = -1;
  f->rotated = f->skipping = false;
  f->len = f->taken = f->line = 0;
}

void log_follow_close(struct log_follow *f)
{
  close_file(f);
  free(f->buffer);
  free(f->marks);
  *f = (struct log_follow){.fd = -1};
}

static struct log_mark *find(const struct log_follow *f, const char *file)
{
  for (size_t i = 0; i < f->mark_count; i++) {
    if (strcmp(f->marks[i].file, file) == 0) {
      return &f->marks[i];
    }
  }
  return NULL;
}

static struct log_mark *find_or_add(struct log_follow *f, const char *file)
{
  struct log_mark *m = find(f, file);

  if (m) {
    return m;
  }
  m = reallocarray(f->marks, f->mark_count + 1, sizeof(*m));
  if (!m) {
    return NULL;
  }
  f->marks = m;
  m = &f->marks[f->mark_count++];
  *m = (struct log_mark){.there = true};
  snprintf(m->file, sizeof(m->file), "%s", file);
  return m;
}

int log_follow_resume(struct log_follow *f, const char *file, uint64_t offset)
{
  struct log_mark *m = find_or_add(f, file);

  if (!m) {
    return -1;
  }
  m->offset = m->saved = offset;
  return 0;
}

void log_follow_saved(struct log_follow *f)
{
  size_t kept = 0;

  for (size_t i = 0; i < f->mark_count; i++) {
    f->marks[i].changed = false;
    f->marks[i].saved = f->marks[i].offset;
    if (!f->marks[i].there && !(f->fd != -1 && i == f->mark)) {
      continue;
    }
    if (f->fd != -1 && i == f->mark) {
      f->mark = kept;
    }
    f->marks[kept++] = f->marks[i];
  }
  f->mark_count = kept;
}

/*
 * Opens a file of the directory and says which it is. The descriptor; -2 if it
 * is not there (any more) or has no line yet; -1 with errno.
 */
static int open_file(const struct log_follow *f, const char *name, char file[TAI64N_LENGTH + 1],
                     uint64_t *size)
{
  char path[PATH_MAX];
  struct stat st;
  int64_t at;

  if (snprintf(path, sizeof(path), "%s/%s", f->directory, name) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) {
    return errno == ENOENT ? -2 : -1;
  }
  if (fstat(fd, &st) == -1) {
    goto failed;
  }
  if (io_pread_all(fd, file, TAI64N_LENGTH, 0) == -1) {
    close(fd);
    return -2; /* too short for a line, or gone bad: it is looked at again */
  }
  file[TAI64N_LENGTH] = '\0';
  if (!tai64n_parse(file, TAI64N_LENGTH, &at)) {
    errno = EPROTO;
    goto failed;
  }
  *size = (uint64_t)st.st_size;
  return fd;
failed:
  close(fd);
  return -1;
}

/* Begins with the file behind fd where its mark stands. */
static void begin(struct log_follow *f, int fd, const struct log_mark *m)
{
  close_file(f);
  f->fd = fd;
  f->mark = (size_t)(m - f->marks);
  f->offset = m->offset;
}

/* Looks through the directory. With skip all is taken; else the first file with more begins. */
static int look(struct log_follow *f, bool skip)
{
  char file[TAI64N_LENGTH + 1];
  struct log_dir list;
  uint64_t size;
  int fd = -2;

  if (log_dir_list(f->directory, &list) == -1) {
    return -1;
  }
  for (size_t i = 0; i < f->mark_count; i++) {
    f->marks[i].there = false;
  }
  bool begun = false;
  for (size_t i = 0; i < list.count; i++) {
    fd = open_file(f, list.names[i], file, &size);
    if (fd == -1) {
      break;
    }
    if (fd < 0) {
      continue;
    }
    struct log_mark *m = find_or_add(f, file);
    if (!m) {
      close(fd);
      fd = -1;
      break;
    }
    m->there = true;
    if (skip) {
      m->offset = size;
    }
    if (!skip && !begun && (m->offset < size || strcmp(list.names[i], "current") == 0)) {
      begin(f, fd, m);
      begun = true;
    } else {
      close(fd);
    }
  }
  int saved = errno;
  log_dir_free(&list);
  errno = saved;
  return fd == -1 ? -1 : 0;
}

int log_follow_skip(struct log_follow *f)
{
  return look(f, true);
}

/* Has multilog begun another current? */
static bool is_rotated(const struct log_follow *f)
{
  char path[PATH_MAX];
  struct stat mine, current;

  snprintf(path, sizeof(path), "%s/current", f->directory);
  if (fstat(f->fd, &mine) == -1 || stat(path, &current) == -1) {
    return true;
  }
  return mine.st_ino != current.st_ino || mine.st_dev != current.st_dev;
}

/* Reads on. 1: there is more in the buffer, 0: the end of the file as it is now, -1. */
static int fill(struct log_follow *f)
{
  if (f->taken > 0) {
    memmove(f->buffer, f->buffer + f->taken, f->len - f->taken);
    f->offset += f->taken;
    f->len -= f->taken;
    f->taken = 0;
  }
  ssize_t n;
  do {
    n = pread(f->fd, f->buffer + f->len, BUFFER_SIZE - f->len, (off_t)(f->offset + f->len));
  } while (n == -1 && errno == EINTR);
  if (n > 0) {
    f->len += (size_t)n;
  }
  return n > 0 ? 1 : (int)n;
}

/* The line at taken, if it is whole, too long, or the last of a file that gets no more. */
static bool line_ready(struct log_follow *f, bool last)
{
  const char *s = f->buffer + f->taken;
  size_t len = f->len - f->taken;
  const char *end = memchr(s, '\n', len);

  if (!end && len < LOG_FOLLOW_LINE_MAX && !(last && len > 0)) {
    return false;
  }
  f->line = end ? (size_t)(end + 1 - s) : len;
  if (f->skipping) {
    f->skipping = !end;
    log_follow_take(f);
    return line_ready(f, last);
  }
  return true;
}

int log_follow_peek(struct log_follow *f, struct log_raw *raw)
{
  bool last = false;

  for (;;) {
    if (f->fd == -1) {
      if (look(f, false) == -1) {
        return -1;
      }
      if (f->fd == -1) {
        return 0;
      }
    }
    if (f->line > 0 || line_ready(f, last)) {
      break;
    }
    int got = fill(f);
    if (got == -1) {
      return -1;
    }
    if (got == 0 && !f->rotated) {
      f->rotated = is_rotated(f);
      if (!f->rotated) {
        return 0;
      }
    } else if (got == 0 && f->len > f->taken) {
      last = true; /* its last line has no end and never will have one */
    } else if (got == 0) {
      close_file(f);
      if (look(f, false) == -1) {
        return -1;
      }
      if (f->fd == -1) {
        return 0;
      }
    }
  }
  const char *s = f->buffer + f->taken;
  size_t len = f->line;
  while (len > 0 && s[len - 1] == '\n') {
    len--;
  }
  *raw = (struct log_raw){{s, len < LOG_FOLLOW_LINE_MAX ? len : LOG_FOLLOW_LINE_MAX},
                          f->marks[f->mark].file,
                          f->offset + f->taken};
  return 1;
}

void log_follow_take(struct log_follow *f)
{
  struct log_mark *m = &f->marks[f->mark];

  f->skipping = f->skipping || (f->line > 0 && f->buffer[f->taken + f->line - 1] != '\n');
  f->taken += f->line;
  f->line = 0;
  m->offset = f->offset + f->taken;
  m->changed = true;
}
