#include "log_merge.h"

#include <errno.h>
#include <string.h>

#define REST 64 /* three system calls for each line of another directory would be too many */

int log_merge_add(struct log_merge *m, const char *directory)
{
  if (m->count == LOG_MERGE_MAX) {
    errno = E2BIG;
    return -1;
  }
  memset(&m->head[m->count], 0, sizeof(m->head[0]));
  if (log_follow_open(&m->follow[m->count], directory) == -1) {
    return -1;
  }
  m->count++;
  return 0;
}

void log_merge_close(struct log_merge *m)
{
  for (unsigned i = 0; i < m->count; i++) {
    log_follow_close(&m->follow[i]);
  }
  m->count = 0;
}

/* The next line of a directory into its head. */
static int look(struct log_merge *m, unsigned i)
{
  int got = log_follow_peek(&m->follow[i], &m->head[i].raw);

  if (got != 1) {
    return got;
  }
  m->head[i].ready = true;
  if (log_line_parse(m->head[i].raw.text.s, m->head[i].raw.text.len, &m->head[i].line)) {
    m->head[i].at = m->head[i].line.at;
  } else {
    m->head[i].line = (struct log_line){.text = m->head[i].raw.text};
  }
  return 1;
}

/* The directory whose line is the earliest; count if there is none. -1 with errno, *failed. */
static int find_first(struct log_merge *m, bool all, unsigned *first, unsigned *failed)
{
  *first = m->count;
  for (unsigned i = 0; i < m->count; i++) {
    if (!m->head[i].ready && !all && m->head[i].rest > 0) {
      m->head[i].rest--;
      continue;
    }
    if (!m->head[i].ready && look(m, i) == -1) {
      *failed = i;
      return -1;
    }
    m->head[i].rest = m->head[i].ready ? 0 : REST;
    if (m->head[i].ready && (*first == m->count || m->head[i].at < m->head[*first].at)) {
      *first = i;
    }
  }
  return 0;
}

int log_merge_next(struct log_merge *m, struct log_entry *entry, unsigned *failed)
{
  unsigned first;

  if (find_first(m, false, &first, failed) == -1 ||
      (first == m->count && find_first(m, true, &first, failed) == -1)) {
    return -1;
  }
  if (first == m->count) {
    return 0;
  }
  *entry = (struct log_entry){first, m->head[first].raw, m->head[first].line};
  m->head[first].ready = false;
  log_follow_take(&m->follow[first]);
  return 1;
}
