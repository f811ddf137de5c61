#include "log_archive.h"

#include "log_dir.h"
#include "tai64n.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 5 /* multilog may rotate while the files are opened */

static void set_last(struct log_file *f)
{
  size_t end = f->size && f->data[f->size - 1] == '\n' ? f->size - 1 : f->size;
  const char *before = end ? memrchr(f->data, '\n', end) : NULL;
  const char *line = before ? before + 1 : f->data;

  if (f->size == 0 || !tai64n_parse(line, (size_t)(f->data + end - line), &f->last)) {
    f->last = INT64_MAX;
  }
}

/* 0 also for a file that is empty; 1 if it is not there (any more), -1 with errno. */
static int map_file(struct log_file *f, const char *path, bool growing)
{
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);

  *f = (struct log_file){.data = "", .last = INT64_MAX};
  if (fd == -1) {
    return errno == ENOENT ? 1 : -1;
  }
  if (fstat(fd, &st) == -1) {
    close(fd);
    return -1;
  }
  if (st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      close(fd);
      return -1;
    }
    f->data = p;
    f->size = (size_t)st.st_size;
  }
  close(fd);
  if (growing && f->size > 0 && f->data[f->size - 1] != '\n') {
    const char *end = memrchr(f->data, '\n', f->size);
    size_t whole = end ? (size_t)(end + 1 - f->data) : 0;
    if (whole == 0) {
      munmap((void *)f->data, f->size);
      f->data = "";
    }
    f->size = whole;
  }
  set_last(f);
  return 0;
}

static int map_all(struct log_archive *a, const struct log_dir *list)
{
  char path[PATH_MAX];

  a->files = calloc(list->count ? list->count : 1, sizeof(*a->files));
  a->count = 0;
  if (!a->files) {
    return -1;
  }
  for (size_t i = 0; i < list->count; i++) {
    if (snprintf(path, sizeof(path), "%s/%s", a->directory, list->names[i]) >= PATH_MAX) {
      errno = ENAMETOOLONG;
      return -1;
    }
    int got = map_file(&a->files[a->count], path, strcmp(list->names[i], "current") == 0);
    if (got == -1) {
      return -1;
    }
    a->count += got == 0 && a->files[a->count].size > 0;
  }
  return 0;
}

/* Has multilog rotated between the two? */
static bool same(const struct log_dir *a, const struct log_dir *b)
{
  return a->count == b->count &&
         (a->count == 0 || memcmp(a->names, b->names, a->count * LOG_NAME_SIZE) == 0);
}

int log_archive_open(struct log_archive *a, const char *directory)
{
  struct log_dir list, again;
  bool settled = false;

  *a = (struct log_archive){.directory = directory};
  for (int i = 0; i < TRIES && !settled; i++) {
    if (log_dir_list(directory, &list) == -1) {
      return -1;
    }
    int got = map_all(a, &list);
    if (got == -1 || log_dir_list(directory, &again) == -1) {
      int saved = errno;
      log_dir_free(&list);
      log_archive_close(a);
      errno = saved;
      return -1;
    }
    settled = same(&list, &again) || i == TRIES - 1;
    log_dir_free(&list);
    log_dir_free(&again);
    if (!settled) {
      log_archive_close(a);
      a->directory = directory;
    }
  }
  return 0;
}

void log_archive_close(struct log_archive *a)
{
  for (unsigned i = 0; i < a->count; i++) {
    munmap((void *)a->files[i].data, a->files[i].size);
  }
  free(a->files);
  *a = (struct log_archive){0};
}

struct log_text log_archive_line(const struct log_archive *a, struct log_place place)
{
  const struct log_file *f = &a->files[place.file];
  const char *s = f->data + place.offset;
  const char *end = memchr(s, '\n', f->size - place.offset);

  return (struct log_text){s, end ? (size_t)(end - s) : f->size - place.offset};
}

struct log_place log_archive_around(const struct log_archive *a, unsigned file, size_t offset)
{
  const char *data = a->files[file].data;
  const char *before = offset ? memrchr(data, '\n', offset) : NULL;

  return (struct log_place){file, before ? (size_t)(before + 1 - data) : 0};
}

bool log_archive_next(const struct log_archive *a, struct log_place *place)
{
  const struct log_file *f = &a->files[place->file];
  size_t after = place->offset + log_archive_line(a, *place).len + 1;

  if (after < f->size) {
    place->offset = after;
    return true;
  }
  if (place->file + 1 < a->count) {
    *place = (struct log_place){place->file + 1, 0};
    return true;
  }
  return false;
}

bool log_archive_previous(const struct log_archive *a, struct log_place *place)
{
  if (place->offset > 0) {
    *place = log_archive_around(a, place->file, place->offset - 1);
    return true;
  }
  if (place->file > 0) {
    size_t size = a->files[place->file - 1].size;
    *place = log_archive_around(a, place->file - 1, size - 1);
    return true;
  }
  return false;
}

bool log_archive_is_of(struct log_text line, const char *pid, size_t pid_len)
{
  static const char tcpserver[] = "tcpserver: ";
  const size_t begin = TAI64N_LENGTH + 1;

  if (line.len < begin + pid_len) {
    return false;
  }
  if (memcmp(line.s + begin, pid, pid_len) == 0) {
    return line.len == begin + pid_len || line.s[begin + pid_len] == ' ';
  }
  if (line.s[begin] != 't' || line.len < begin + sizeof(tcpserver) - 1 ||
      memcmp(line.s + begin, tcpserver, sizeof(tcpserver) - 1) != 0) {
    return false;
  }
  const char *end = line.s + line.len, *p = line.s + begin + sizeof(tcpserver) - 1;
  p = memchr(p, ' ', (size_t)(end - p)); /* behind "pid", "ok", "end" */
  return p && (size_t)(end - p) > pid_len && memcmp(p + 1, pid, pid_len) == 0 &&
         (p + 1 + pid_len == end || p[1 + pid_len] == ' ');
}
