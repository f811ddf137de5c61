#include "queue_replay.h"

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEGMENT_BYTES 65536

static char directory[] = "/tmp/queue_replay_test.XXXXXX";
static struct store store;

static void add(struct buf *b, const struct record *r, const char *envelope, const char *states,
                const char *extra, const char *content)
{
  char header[RECORD_HEADER];
  size_t start = b->len;

  record_put(header, r);
  buf_append(b, header, sizeof header);
  buf_append_str(b, envelope);
  buf_append_str(b, states);
  buf_append_str(b, extra);
  buf_append_str(b, content);
  record_sum_content(b->data + start);
  while (b->len % RECORD_ALIGN)
    buf_append_char(b, '\0');
}

static void message(struct buf *b, uint64_t serial, uint32_t rcpts, const char *extra)
{
  char envelope[64];
  struct record r = {.type = RECORD_MESSAGE, .serial = serial, .rcpts = rcpts, .content_len = 9};

  snprintf(envelope, sizeof envelope, "1:1,16:01ABCDEFGHJK%04llu,", (unsigned long long)serial);
  r.envelope_len = (uint32_t)strlen(envelope);
  r.extra_len = (uint32_t)strlen(extra);
  add(b, &r, envelope, "", extra, "content\r\n");
}

static void result(struct buf *b, uint64_t serial, const char *entry)
{
  struct record r = {.type = RECORD_RESULT, .serial = serial,
                     .states_len = (uint32_t)strlen(entry)};

  add(b, &r, "", entry, "", "");
}

static enum append_result append(struct buf *b, uint32_t count)
{
  uint64_t positions[10];
  struct append a = {.records = b, .next_serial = 50, .positions = positions, .count = count};
  enum append_result answer = store_append(&store, &a);

  buf_reset(b);
  return answer;
}

static void reopen(struct index *x, struct replay_counts *counts)
{
  const char *what;

  store_close(&store);
  CHECK_INT(store_open(&store, directory, SEGMENT_BYTES, false, &what), 0);
  index_init(x);
  CHECK_INT(replay_run(&store, x, counts), 0);
}

static void life(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct replay_counts counts;
  struct index_message *m;
  struct index x;
  const char *what;

  CHECK_INT(store_open(&store, directory, SEGMENT_BYTES, false, &what), 0);
  message(&b, 1, 2, "");
  message(&b, 2, 1, "");
  CHECK_INT(append(&b, 2), APPEND_OK);
  result(&b, 2, "1:0,1:e,1:0,1:0,1:0,1:1,1:0,");
  result(&b, 1, "1:0,1:f,1:0,1:0,1:0,1:1,1:0,");
  result(&b, 1, "1:1,1:p,1:0,1:0,4:2500,1:3,1:0,");
  result(&b, 9, "1:0,1:p,1:0,1:0,1:0,1:1,1:0,");
  CHECK_INT(append(&b, 4), APPEND_OK);
  reopen(&x, &counts);
  CHECK_INT(x.by_serial.count, 1);
  CHECK_INT(counts.strays, 1);
  CHECK_INT(counts.damaged, 0);
  CHECK_INT(x.next_serial, 50);
  m = index_find(&x, 1);
  CHECK(m && m->live == 2 && m->rcpts[0].state == RCPT_FAILED_DUE && m->rcpts[1].next == 3 &&
        m->rcpts[1].attempts == 3);
  index_free(&x);
  /* A DSN ends the recipient that it is about, in the same record. */
  message(&b, 3, 1, "0:,1:f,1:1,1:1,1:0,");
  CHECK_INT(append(&b, 1), APPEND_OK);
  CHECK_INT(store.count, 2);
  reopen(&x, &counts);
  m = index_find(&x, 1);
  CHECK(m && m->live == 1 && m->rcpts[0].state == RCPT_ENDED);
  CHECK(index_find(&x, 3) != NULL);
  index_free(&x);
  /* A later MESSAGE replaces all earlier state. */
  message(&b, 1, 2, "");
  CHECK_INT(append(&b, 1), APPEND_OK);
  reopen(&x, &counts);
  m = index_find(&x, 1);
  CHECK(m && m->live == 2 && m->rcpts[0].state == RCPT_PENDING && m->segment == 3);
  index_free(&x);
  buf_free(&b);
}

/* What an older use of a file left behind is not read again. */
static void recycled(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct replay_counts counts;
  struct index x;

  CHECK_INT(store_drop_first(&store), 0);
  store.appending = false;
  message(&b, 20, 1, "");
  CHECK_INT(append(&b, 1), APPEND_OK);
  reopen(&x, &counts);
  CHECK(index_find(&x, 20) != NULL);
  CHECK(index_find(&x, 2) == NULL);
  CHECK_INT(counts.damaged, 0);
  index_free(&x);
  buf_free(&b);
}

/* Spoils the content of the record that lies at the start of the last segment's last batch. */
static void spoil(void)
{
  struct store_segment *last = &store.segments[store.count - 1];
  char name[STORE_NAME_SIZE], page[RECORD_PAGE];
  char *found;
  int fd;

  store_name(name, sizeof name, last->number, last->key);
  fd = openat(store.log, name, O_RDWR);
  CHECK_INT(pread(fd, page, sizeof page, RECORD_PAGE), sizeof page);
  found = memmem(page, sizeof page, "content\r\n", 9);
  CHECK(found != NULL);
  if (found)
    CHECK_INT(pwrite(fd, "\0\0\0\0\0\0\0", 7, RECORD_PAGE + (found - page)), 7);
  close(fd);
}

/* A crash left heads without their contents, in the midst of a batch. */
static void torn_content(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct replay_counts counts;
  struct index_message *m;
  struct index x;
  uint32_t home;
  int round;

  message(&b, 30, 2, "");
  CHECK_INT(append(&b, 1), APPEND_OK);
  home = store.segments[store.count - 1].number;
  result(&b, 30, "1:0,1:f,1:0,1:0,1:0,1:1,1:0,");
  CHECK_INT(append(&b, 1), APPEND_OK);
  reopen(&x, &counts);
  index_free(&x);
  message(&b, 30, 2, ""); /* a copy */
  message(&b, 31, 1, "");
  CHECK_INT(append(&b, 2), APPEND_OK);
  spoil();
  for (round = 0; round < 2; round++) { /* in the last segment, then with one behind it */
    reopen(&x, &counts);
    m = index_find(&x, 30);
    CHECK(m && m->segment == home && m->rcpts[0].state == RCPT_FAILED_DUE);
    CHECK(index_find(&x, 31) != NULL);
    CHECK_INT(counts.strays, 1);
    CHECK_INT(counts.damaged, 0);
    index_free(&x);
    message(&b, 40 + (uint64_t)round, 1, round == 0 ? "" : "0:,1:f,2:30,1:1,1:0,");
    message(&b, 42 + (uint64_t)round, 1, "");
    CHECK_INT(append(&b, 2), APPEND_OK);
  }
  /* The DSN of round 1, torn: its recipient stays due. */
  spoil();
  reopen(&x, &counts);
  m = index_find(&x, 30);
  CHECK(m && m->rcpts[0].state == RCPT_FAILED_DUE);
  CHECK(index_find(&x, 41) == NULL && index_find(&x, 43) != NULL);
  index_free(&x);
  buf_free(&b);
}

/* The last record of all, without its content, is a torn tail, and stays one. */
static void torn_last(void)
{
  struct buf b = BUF_INIT(1 << 20);
  struct replay_counts counts;
  struct index x;
  int round;

  message(&b, 45, 1, "");
  CHECK_INT(append(&b, 1), APPEND_OK);
  spoil();
  for (round = 0; round < 2; round++) {
    reopen(&x, &counts);
    CHECK(index_find(&x, 45) == NULL);
    CHECK(index_find(&x, 43) != NULL);
    CHECK_INT(counts.damaged, 0);
    index_free(&x);
    message(&b, 46 + (uint64_t)round, 1, "");
    CHECK_INT(append(&b, 1), APPEND_OK);
  }
  buf_free(&b);
}

int main(void)
{
  char command[100];

  if (!mkdtemp(directory))
    return 111;
  life();
  recycled();
  torn_content();
  torn_last();
  store_close(&store);
  snprintf(command, sizeof command, "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("queue_replay");
}
