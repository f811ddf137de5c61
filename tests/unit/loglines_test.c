#include "loglines.h"

#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char seen[200000];
static char text[20000];

static size_t drain(int fd)
{
  size_t len = 0;
  ssize_t n;

  fcntl(fd, F_SETFL, O_NONBLOCK);
  while ((n = read(fd, seen + len, sizeof(seen) - 1 - len)) > 0) {
    len += (size_t)n;
  }
  seen[len] = '\0';
  return len;
}

static void test_parts(void)
{
  struct logline line = {0};
  size_t i;

  logline_str(&line, "n=");
  logline_u64(&line, 0);
  logline_str(&line, " max=");
  logline_u64(&line, UINT64_MAX);
  CHECK_INT(line.len, strlen("n=0 max=18446744073709551615"));
  CHECK(memcmp(line.text, "n=0 max=18446744073709551615", line.len) == 0);
  /* What is too much stays out. */
  memset(text, 'x', 5000);
  text[5000] = '\0';
  for (i = 0; i < 3; i++) {
    logline_str(&line, text);
  }
  CHECK_INT(line.len, sizeof(line.text));
}

static void test_escapes(void)
{
  static const struct {
    const char *in, *out;
  } cases[] = {
    {"MAIL FROM:<a@example.com>", "7 < MAIL FROM:<a@example.com>\n"},
    {"", "7 < \n"},
    {"a\r\nb\tc\177", "7 < a\\x0d\\x0ab\\x09c\\x7f\n"},
    {"back\\slash", "7 < back\\slash\n"},
    {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "7 < \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n"},
    {"\xc2\x80\xc2\x9f\xc2\xa0", "7 < \\xc2\\x80\\xc2\\x9f\xc2\xa0\n"},
    {"\xc3", "7 < \\xc3\n"},
    {"\xc0\xaf\xed\xa0\x80", "7 < \\xc0\\xaf\\xed\\xa0\\x80\n"},
    {"\xe0\x80\x80\xf4\x90\x80\x80", "7 < \\xe0\\x80\\x80\\xf4\\x90\\x80\\x80\n"},
    {"\xe2\x82z\xff", "7 < \\xe2\\x82z\\xff\n"},
  };
  struct loglines log;
  int p[2];
  size_t i;

  CHECK_INT(pipe(p), 0);
  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    loglines_init(&log, p[1], false);
    CHECK_INT(log.pid, getpid());
    log.pid = 7;
    loglines_put(&log, '<', cases[i].in, strlen(cases[i].in));
    loglines_flush(&log);
    drain(p[0]);
    CHECK_STR(seen, cases[i].out);
  }
  loglines_put(&log, '>', "a\0b", 3);
  loglines_printf(&log, '=', "id=%s n=%d", "x\n", 3);
  loglines_flush(&log);
  drain(p[0]);
  CHECK_STR(seen, "7 > a\\x00b\n7 = id=x\\x0a n=3\n");
  close(p[0]);
  close(p[1]);
}

/* Lines around the limit: whole up to 4096 with newline, else cut there, N what is missing. */
static void test_cut(void)
{
  static const size_t lens[] = {4090, 4091, 4092, 4093, 4098, 4099, 5000, 14089, 20000};
  struct loglines log;
  size_t i, n, cut;
  int p[2];
  char *mark;

  CHECK_INT(pipe(p), 0);
  memset(text, 'x', sizeof(text));
  for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
    loglines_init(&log, p[1], false);
    log.pid = 7;
    loglines_put(&log, '<', text, lens[i]);
    loglines_flush(&log);
    n = drain(p[0]);
    mark = strstr(seen, " [cut ");
    if (lens[i] <= 4091) {
      CHECK_INT(n, lens[i] + 5);
      CHECK(!mark);
    } else {
      CHECK_INT(n, 4096);
      CHECK(mark && sscanf(mark, " [cut %zu]", &cut) == 1);
      CHECK(mark && (size_t)(mark - seen) - 4 + cut == lens[i]);
      CHECK(strcmp(seen + 4094, "]\n") == 0);
    }
  }
  memset(text, '\001', sizeof(text));
  loglines_put(&log, '<', text, 3000);
  loglines_flush(&log);
  n = drain(p[0]);
  CHECK(n > 4092 && n <= 4096);
  CHECK(strstr(seen, "\\x01 [cut ") != NULL);
  close(p[0]);
  close(p[1]);
}

/* Many lines go out in writes of whole lines, never over 4096. */
static void test_batches(void)
{
  struct loglines log;
  ssize_t n, total = 0;
  int s[2], i;

  CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0); /* shows each write */
  loglines_init(&log, s[1], false);
  memset(text, 'y', sizeof(text));
  for (i = 0; i < 100; i++) {
    loglines_put(&log, '<', text, 200);
  }
  loglines_flush(&log);
  close(s[1]);
  for (i = 0; (n = read(s[0], seen, sizeof(seen))) > 0; i++) {
    CHECK(n <= 4096 && seen[n - 1] == '\n');
    total += n;
  }
  CHECK(i >= 5 && i <= 6);
  CHECK(total > 100 * 204);
  close(s[0]);
}

/* Adds up what drain() saw: whole lines, and what the notes between them say is missing. */
static void count(unsigned long *lines, unsigned long *noted)
{
  unsigned long n;
  char *s;

  for (s = strtok(seen, "\n"); s; s = strtok(NULL, "\n")) {
    if (sscanf(s, "%*d = dropped lines=%lu", &n) == 1) {
      *noted += n;
    } else {
      *lines += 1;
    }
  }
}

static void test_lossy(void)
{
  struct loglines log;
  unsigned long noted = 0, lines = 0, n;
  int p[2], i;
  char *s;

  CHECK_INT(pipe(p), 0);
  fcntl(p[1], F_SETFL, O_NONBLOCK);
  loglines_init(&log, p[1], true);
  for (i = 0; i < 2000; i++) {
    loglines_printf(&log, '=', "line %d %0100d", i, 0);
  }
  loglines_flush(&log);
  CHECK(log.dropped > 0);
  CHECK_INT(log.len, 0);
  drain(p[0]);
  count(&lines, &noted);
  CHECK(lines > 100);
  CHECK_INT(lines + noted + log.dropped, 2000);
  loglines_put(&log, '=', "after", 5);
  loglines_flush(&log);
  CHECK_INT(log.dropped, 0);
  drain(p[0]);
  CHECK(sscanf(seen, "%*d = dropped lines=%lu\n", &n) == 1);
  s = strchr(seen, '\n');
  CHECK(s && strstr(s, " = after\n") != NULL);
  count(&lines, &noted);
  CHECK_INT(lines + noted, 2001);

  /* A reader that went away: silence. */
  close(p[0]);
  loglines_put(&log, '=', "nobody", 6);
  loglines_flush(&log);
  CHECK_INT(log.len, 0);
  log.lossy = false;
  loglines_put(&log, '=', "nobody", 6);
  loglines_flush(&log);
  CHECK_INT(log.len, 0);
  close(p[1]);
}

/* A stream socket cuts lines in the middle; each must still come out whole or be counted. */
static void test_torn(void)
{
  static char all[300000];
  unsigned long lines = 0, noted = 0;
  struct loglines log;
  size_t len = 0, n;
  int s[2], i;

  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
  fcntl(s[1], F_SETFL, O_NONBLOCK);
  i = 4096;
  setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &i, sizeof(i));
  loglines_init(&log, s[1], true);
  memset(text, 'z', sizeof(text));
  for (i = 0; i < 310; i++) {
    if (i < 300) {
      loglines_put(&log, '=', text, (size_t)(i * 13 % 3000) + 1);
    }
    if (i % 37 == 0 || i >= 300) {
      loglines_flush(&log);
      n = drain(s[0]);
      memcpy(all + len, seen, n);
      len += n;
    }
  }
  CHECK(log.len == 0 && log.dropped == 0 && !log.torn);
  memcpy(seen, all, len);
  seen[len] = '\0';
  for (n = 0; n < len; n += strcspn(seen + n, "\n") + 1) {
    i = (int)strspn(seen + n, "0123456789 =z");
    CHECK(seen[n + (size_t)i] == '\n' || strncmp(seen + n + i, "dropped lines=", 14) == 0);
  }
  count(&lines, &noted);
  CHECK(noted > 0 && lines > 10);
  CHECK_INT(lines + noted, 300);
  close(s[0]);
  close(s[1]);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  test_escapes();
  test_parts();
  test_cut();
  test_batches();
  test_lossy();
  test_torn();
  return check_done("loglines");
}
