/* Following a directory that multilog writes: pieces of lines, rotation, going on. */
#include "log_follow.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/relay-log-follow.XXXXXX";

/* A stamp; number tells the files and lines apart. */
static const char *stamp(unsigned number)
{
  static char out[TAI64N_LENGTH + 1];

  tai64n_format(INT64_C(1795643941) * 1000000000 + number, out);
  return out;
}

static void append(const char *name, const char *data)
{
  char path[200];

  snprintf(path, sizeof(path), "%s/%s", directory, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  CHECK(write(fd, data, strlen(data)) == (ssize_t)strlen(data));
  close(fd);
}

static void line(const char *name, unsigned number, const char *rest)
{
  char data[200];

  snprintf(data, sizeof(data), "%s %s", stamp(number), rest);
  append(name, data);
}

static void rotate(unsigned number)
{
  char from[200], to[200];

  snprintf(from, sizeof(from), "%s/current", directory);
  snprintf(to, sizeof(to), "%s/%s.s", directory, stamp(number));
  CHECK_INT(rename(from, to), 0);
}

/* What the next line has behind its stamp; it is taken. "" if there is none. */
static const char *take(struct log_follow *f)
{
  static char out[100];
  struct log_raw raw;
  int got = log_follow_peek(f, &raw);

  CHECK(got >= 0);
  if (got != 1) {
    return "";
  }
  snprintf(out, sizeof(out), "%.*s", (int)raw.text.len - TAI64N_LENGTH - 1,
           raw.text.s + TAI64N_LENGTH + 1);
  log_follow_take(f);
  return out;
}

static void test_follow(void)
{
  struct log_follow f;
  struct log_raw raw;

  CHECK_INT(log_follow_open(&f, directory), 0);
  CHECK_STR(take(&f), ""); /* nothing there yet */
  append("current", stamp(1));
  CHECK_STR(take(&f), ""); /* a piece of a line */
  append("current", " one\n");
  line("current", 2, "two\nrest of no stamp\n");
  CHECK_INT(log_follow_peek(&f, &raw), 1);
  CHECK_INT(log_follow_peek(&f, &raw), 1); /* the same */
  CHECK_INT(raw.offset, 0);
  CHECK_STR(take(&f), "one");
  CHECK_STR(take(&f), "two");
  CHECK_INT(log_follow_peek(&f, &raw), 1);
  CHECK(log_text_is(raw.text, "rest of no stamp"));
  log_follow_take(&f);
  CHECK_STR(take(&f), "");
  /* What comes between the last look and the rotation, a last line without its end, two rotations. */
  line("current", 3, "three\n");
  line("current", 4, "torn");
  rotate(10);
  line("current", 5, "five\n");
  rotate(11);
  line("current", 6, "six\n");
  CHECK_STR(take(&f), "three");
  CHECK_STR(take(&f), "torn");
  CHECK_STR(take(&f), "five");
  CHECK_STR(take(&f), "six");
  CHECK_STR(take(&f), "");
  CHECK_INT(f.mark_count, 3);
  log_follow_close(&f);
}

static void test_resume(void)
{
  struct log_follow f;
  char file[TAI64N_LENGTH + 1], path[200];

  snprintf(file, sizeof(file), "%s", stamp(1));
  CHECK_INT(log_follow_open(&f, directory), 0);
  CHECK_INT(log_follow_resume(&f, file, (TAI64N_LENGTH + 5) * 2 + 17), 0); /* behind "no stamp" */
  CHECK_INT(log_follow_resume(&f, stamp(5), TAI64N_LENGTH + 6), 0);      /* behind "five" */
  CHECK_STR(take(&f), "three");
  CHECK_STR(take(&f), "torn");
  CHECK_STR(take(&f), "six");
  CHECK_STR(take(&f), "");
  /* multilog deletes its oldest file: its mark goes with the next look and save. */
  snprintf(path, sizeof(path), "%s/%s.s", directory, stamp(10));
  CHECK_INT(unlink(path), 0);
  rotate(12);
  line("current", 7, "seven\n");
  CHECK_STR(take(&f), "seven");
  CHECK_INT(f.mark_count, 4);
  log_follow_saved(&f);
  CHECK_INT(f.mark_count, 3);
  CHECK_STR(f.marks[f.mark].file, stamp(7));
  log_follow_close(&f);
}

static void test_skip(void)
{
  struct log_follow f;

  CHECK_INT(log_follow_open(&f, directory), 0);
  CHECK_INT(log_follow_skip(&f), 0);
  CHECK_STR(take(&f), "");
  line("current", 8, "eight\n");
  CHECK_STR(take(&f), "eight");
  log_follow_close(&f);
}

static void test_long(void)
{
  static char big[3 * LOG_FOLLOW_LINE_MAX];
  struct log_follow f;
  struct log_raw raw;

  memset(big, 'x', sizeof(big) - 2);
  big[sizeof(big) - 2] = '\n';
  CHECK_INT(log_follow_open(&f, directory), 0);
  CHECK_INT(log_follow_skip(&f), 0);
  append("current", stamp(9));
  append("current", big);
  line("current", 10, "after\n");
  CHECK_INT(log_follow_peek(&f, &raw), 1);
  CHECK(raw.text.len == LOG_FOLLOW_LINE_MAX);
  log_follow_take(&f);
  CHECK_STR(take(&f), "after");
  CHECK_STR(take(&f), "");
  log_follow_close(&f);
}

static void test_no_stamp(void)
{
  struct log_follow f;
  struct log_raw raw;
  char path[200];

  snprintf(path, sizeof(path), "%s/current", directory);
  CHECK_INT(unlink(path), 0);
  append("current", "a line of a multilog without t\n");
  CHECK_INT(log_follow_open(&f, directory), 0);
  CHECK_INT(log_follow_resume(&f, stamp(5), 1000), 0);
  do {
    errno = 0;
  } while (log_follow_peek(&f, &raw) == 1 && (log_follow_take(&f), true));
  CHECK_INT(errno, EPROTO);
  log_follow_close(&f);
}

int main(void)
{
  char command[100];

  CHECK(mkdtemp(directory) != NULL);
  test_follow();
  test_resume();
  test_skip();
  test_long();
  test_no_stamp();
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  CHECK_INT(system(command), 0);
  return check_done("log_follow");
}
