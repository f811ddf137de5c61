#include "control.h"

#include "scan.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN_MAX 255 /* RFC 5321 4.5.3.1.2 */

/* control/NAME.cdb if there is one, else the lines of control/NAME, opened for look-ups. */
struct control_lookup {
  const char *name;
  char cdb_name[128];
  bool is_cdb;
  struct cdb cdb;
  struct control_list list;
};

static enum control_result fail_cdb(const struct control_lookup *l, int error)
{
  control_fail(l->cdb_name, 0, "%s", error == EPROTO ? "not a cdb" : strerror(error));
  return error == EPROTO ? CONTROL_MALFORMED : CONTROL_UNREADABLE;
}

static enum control_result lookup_open(struct control_lookup *l, const char *name)
{
  enum control_result result;
  char path[160];
  int fd;

  *l = (struct control_lookup){.name = name};
  if ((size_t)snprintf(l->cdb_name, sizeof(l->cdb_name), "%s.cdb", name) >= sizeof(l->cdb_name)) {
    return control_fail(name, 0, "%s", strerror(ENAMETOOLONG));
  }
  snprintf(path, sizeof(path), "control/%s", l->cdb_name);
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd == -1) {
    return errno == ENOENT ? control_list(name, &l->list) : fail_cdb(l, errno);
  }
  if (cdb_init(&l->cdb, fd) == -1) {
    /* EINVAL: a directory, or empty, which mmap() refuses */
    result = fail_cdb(l, errno == EINVAL || errno == ENODEV ? EPROTO : errno);
    close(fd);
    return result;
  }
  l->is_cdb = true;
  return CONTROL_OK;
}

static void lookup_close(struct control_lookup *l)
{
  if (l->is_cdb) {
    close(cdb_fileno(&l->cdb));
    cdb_free(&l->cdb);
  } else {
    control_list_free(&l->list);
  }
}

static enum control_result lookup_key(struct control_lookup *l, const char *key, size_t len, bool *found)
{
  size_t i;
  int n;

  *found = false;
  if (l->is_cdb) {
    n = cdb_find(&l->cdb, key, (unsigned)len);
    if (n == -1) {
      return fail_cdb(l, EPROTO);
    }
    *found = n > 0;
    return CONTROL_OK;
  }
  for (i = 0; i < l->list.count && !*found; i++) {
    *found = scan_case_equal(l->list.lines[i], strlen(l->list.lines[i]), key, len);
  }
  return CONTROL_OK;
}

enum control_result control_contains(const char *name, const char *key, bool *found)
{
  enum control_result result;
  struct control_lookup l;

  result = lookup_open(&l, name);
  if (result != CONTROL_OK) {
    return result;
  }
  result = lookup_key(&l, key, strlen(key), found);
  lookup_close(&l);
  return result;
}

enum control_result control_contains_name(const char *name, const char *key, bool *found)
{
  size_t len = strlen(key);
  enum control_result result;
  struct control_lookup l;

  *found = false;
  result = lookup_open(&l, name);
  if (result != CONTROL_OK) {
    return result;
  }
  if (l.is_cdb) {
    result = lookup_key(&l, key, len, found);
  }
  for (size_t i = 0; i < l.list.count && !*found; i++) {
    const char *line = l.list.lines[i];
    *found = strcspn(line, " \t") == len && memcmp(line, key, len) == 0;
  }
  lookup_close(&l);
  return result;
}

enum control_result control_contains_domain(const char *name, const char *domain, bool *found)
{
  enum control_result result;
  struct control_lookup l;

  result = lookup_open(&l, name);
  if (result != CONTROL_OK) {
    return result;
  }
  result = control_lookup_has_domain(&l, domain, found);
  lookup_close(&l);
  return result;
}

enum control_result control_lookup_open(const char *name, struct control_lookup **lookup)
{
  enum control_result result;
  struct control_lookup l;

  *lookup = NULL;
  result = lookup_open(&l, name);
  if (result != CONTROL_OK) {
    return result;
  }
  *lookup = malloc(sizeof(**lookup));
  if (!*lookup) {
    lookup_close(&l);
    control_fail(name, 0, "%s", strerror(ENOMEM));
    return CONTROL_UNREADABLE;
  }
  **lookup = l;
  return CONTROL_OK;
}

void control_lookup_close(struct control_lookup *l)
{
  if (l) {
    lookup_close(l);
    free(l);
  }
}

enum control_result control_lookup_has(struct control_lookup *l, const char *key, bool *found)
{
  *found = false;
  return l ? lookup_key(l, key, strlen(key), found) : CONTROL_OK;
}

enum control_result control_lookup_has_domain(struct control_lookup *l, const char *domain,
                                              bool *found)
{
  enum control_result result = CONTROL_OK;
  char lower[DOMAIN_MAX + 1];
  size_t len = strlen(domain);
  const char *key;

  *found = false;
  if (!l || len > DOMAIN_MAX) {
    return CONTROL_OK;
  }
  memcpy(lower, domain, len + 1);
  scan_lowercase(lower, len); /* as the keys of a cdb are */
  for (key = lower; key && *key && result == CONTROL_OK && !*found; key = strchr(key + 1, '.')) {
    result = lookup_key(l, key, len - (size_t)(key - lower), found);
  }
  return result;
}
