#include "log_dir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_log(const char *name)
{
  int64_t at;

  if (strcmp(name, "current") == 0) {
    return true;
  }
  return strlen(name) == TAI64N_LENGTH + 2 && tai64n_parse(name, TAI64N_LENGTH, &at) &&
         (strcmp(name + TAI64N_LENGTH, ".s") == 0 || strcmp(name + TAI64N_LENGTH, ".u") == 0);
}

static int add(struct log_dir *list, size_t *cap, const char *name)
{
  if (list->count == *cap) {
    size_t bigger = *cap ? 2 * *cap : 32;
    void *p = reallocarray(list->names, bigger, LOG_NAME_SIZE);
    if (!p) {
      return -1;
    }
    list->names = p;
    *cap = bigger;
  }
  snprintf(list->names[list->count++], LOG_NAME_SIZE, "%s", name);
  return 0;
}

/* "@" sorts before "c". */
static int by_name(const void *a, const void *b)
{
  return strcmp(a, b);
}

int log_dir_list(const char *directory, struct log_dir *list)
{
  DIR *d = opendir(directory);
  struct dirent *entry;
  size_t cap = 0;
  int saved;

  *list = (struct log_dir){0};
  if (!d) {
    return -1;
  }
  for (errno = 0; (entry = readdir(d)); errno = 0) {
    if (is_log(entry->d_name) && add(list, &cap, entry->d_name) == -1) {
      break;
    }
  }
  saved = errno;
  closedir(d);
  if (saved) {
    log_dir_free(list);
    errno = saved;
    return -1;
  }
  if (list->count > 0) {
    qsort(list->names, list->count, LOG_NAME_SIZE, by_name);
  }
  return 0;
}

void log_dir_free(struct log_dir *list)
{
  free(list->names);
  *list = (struct log_dir){0};
}

int log_dir_has_log(const char *directory)
{
  struct log_dir list;

  if (log_dir_list(directory, &list) == -1) {
    return -1;
  }
  int has = list.count > 0;
  log_dir_free(&list);
  return has;
}

char *log_dir_find(const char *directory)
{
  char main_dir[PATH_MAX];
  int has = log_dir_has_log(directory);

  if (has == -1) {
    return NULL;
  }
  if (has == 0 && snprintf(main_dir, sizeof(main_dir), "%s/main", directory) < PATH_MAX &&
      log_dir_has_log(main_dir) != -1) {
    return realpath(main_dir, NULL);
  }
  return realpath(directory, NULL);
}
