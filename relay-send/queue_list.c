#include "queue_list.h"

#include "escape.h"
#include "exits.h"
#include "id.h"
#include "io.h"
#include "queue_handout.h"
#include "queue_replay.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES 5 /* a running relay may remove segments while they are being read */

struct snapshot {
  struct store store;
  struct index index;
};

/* Has the oldest segment gone, or been put to another use, while it was read? */
static bool moved(struct snapshot *s, const char *queue_dir)
{
  struct store again;
  const char *what;
  bool result = true;

  if (store_open(&again, queue_dir, STORE_SEGMENT_BYTES, true, &what) == 0) {
    result = s->store.count > 0 &&
             (again.count == 0 || again.segments[0].number != s->store.segments[0].number);
    store_close(&again);
  }
  return result;
}

static int take(struct snapshot *s, const char *queue_dir)
{
  struct replay_counts counts;
  const char *what;
  int i, result;

  for (i = 0; i < TRIES; i++) {
    if (store_open(&s->store, queue_dir, STORE_SEGMENT_BYTES, true, &what) == -1) {
      report_fatal_errno("unable to open %s", what);
      return -1;
    }
    index_init(&s->index);
    result = replay_run(&s->store, &s->index, &counts);
    if (result == 0 && !moved(s, queue_dir)) {
      return 0;
    }
    index_free(&s->index);
    store_close(&s->store);
  }
  report_fatal_errno("unable to read %s", queue_dir);
  return -1;
}

static void drop(struct snapshot *s)
{
  index_free(&s->index);
  store_close(&s->store);
}

static const char *state_name(uint8_t state)
{
  switch (state) {
  case RCPT_FAILED_DUE:
    return "failed, notice due";
  case RCPT_RELAYED_DUE:
    return "delivered, notice due";
  default:
    return "pending";
  }
}

static void print_escaped(const char *s)
{
  char out[4 * ADDRESS_SIZE];
  size_t written;

  escape_text(s, strlen(s), out, sizeof(out), &written);
  printf("%.*s", (int)written, out);
}

static void print_time(int64_t ms)
{
  char text[32];
  struct tm tm;
  time_t t = (time_t)(ms / 1000);

  if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0) {
    fputs(text, stdout);
  }
}

static int print_message(struct snapshot *s, const struct index_message *m, struct envelope *e)
{
  struct buf b = BUF_INIT(RECORD_HEADER + RECORD_HEAD_MAX);
  struct record r;
  int result = -1;
  uint32_t i;

  if (handout_head(&s->store, m->segment, (uint64_t)m->position * RECORD_ALIGN, &r, &b) == -1 ||
      envelope_decode(e, b.data + RECORD_HEADER, r.envelope_len) == -1 ||
      e->rcpt_count != m->rcpt_count) {
    report_warning("unable to read message %.*s", ID_LENGTH, m->id);
    goto cleanup;
  }
  printf("%s serial=%llu segment=%u bytes=%llu tenant=", e->id, (unsigned long long)m->serial,
         m->segment, (unsigned long long)m->content_len);
  print_escaped(e->tenant);
  printf(" arrival=");
  print_time(e->arrival);
  printf(" from=<");
  print_escaped(e->sender);
  puts(">");
  for (i = 0; i < m->rcpt_count; i++) {
    if (m->rcpts[i].state != RCPT_ENDED) {
      fputs("  <", stdout);
      print_escaped(e->rcpts[i].address);
      printf("> %s, attempts=%u%s\n", state_name(m->rcpts[i].state), m->rcpts[i].attempts,
             m->rcpts[i].delay_told ? ", delay told" : "");
    }
  }
  result = 0;

cleanup:
  buf_free(&b);
  return result;
}

int list_queue(const char *queue_dir)
{
  const struct index_message *m;
  struct snapshot s;
  struct envelope e;
  int status = EXIT_OK;
  uint32_t i;

  if (take(&s, queue_dir) == -1) {
    return EXIT_TEMPORARY;
  }
  envelope_init(&e);
  for (i = 0; i < s.index.segment_count; i++) {
    for (m = s.index.segments[i].first; m; m = m->next) {
      if (print_message(&s, m, &e) == -1) {
        status = EXIT_TEMPORARY;
      }
    }
  }
  envelope_free(&e);
  drop(&s);
  return fflush(stdout) == 0 ? status : EXIT_TEMPORARY;
}

static int print_content(int fd, uint64_t from)
{
  char chunk[65536];
  struct stat st;
  uint64_t n;

  if (fstat(fd, &st) == -1) {
    return -1;
  }
  for (; from < (uint64_t)st.st_size; from += n) {
    n = (uint64_t)st.st_size - from < sizeof(chunk) ? (uint64_t)st.st_size - from : sizeof(chunk);
    if (io_pread_all(fd, chunk, n, (off_t)from) == -1 || fwrite(chunk, 1, n, stdout) != n) {
      return -1;
    }
  }
  return fflush(stdout) == 0 ? 0 : -1;
}

int extract_message(const char *queue_dir, const char *id)
{
  const struct index_message *m;
  struct snapshot s;
  int fd, status = EXIT_TEMPORARY;

  if (!id_valid(id, strlen(id))) {
    report_fatal("not a message id: %s", id);
    return EXIT_USAGE;
  }
  if (take(&s, queue_dir) == -1) {
    return EXIT_TEMPORARY;
  }
  m = hash_find(&s.index.by_id, id, ID_LENGTH);
  if (!m) {
    report_fatal("no message %s in %s", id, queue_dir);
    status = EXIT_PERMANENT;
    goto cleanup;
  }
  fd = handout_copy(&s.store, m->segment, (uint64_t)m->position * RECORD_ALIGN, m->big);
  if (fd == -1 || print_content(fd, m->envelope_len) == -1) {
    report_fatal_errno("unable to read message %s", id);
  } else {
    status = EXIT_OK;
  }
  if (fd != -1) {
    close(fd);
  }

cleanup:
  drop(&s);
  return status;
}
