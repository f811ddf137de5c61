/* The reply parser, fed in one piece and split at every byte. */
#include "mxreply.h"

#include "check.h"

#include <stdlib.h>

static struct mxreply r;

/* Feeds data in two pieces; the last result, and how much was used up to it. */
static enum mxreply_result feed(const char *data, size_t len, size_t split, size_t *used)
{
  size_t at = 0, n, end;
  enum mxreply_result result = MXREPLY_MORE;

  mxreply_reset(&r);
  while (at < len) {
    end = at < split ? split : len;
    result = mxreply_feed(&r, data + at, end - at, &n);
    at += n;
    if (result == MXREPLY_DONE || result == MXREPLY_GARBLED) {
      break;
    }
  }
  *used = at;
  return result;
}

static const struct {
  const char *data;
  enum mxreply_result result;
  int code;
  const char *text;
  unsigned lines;
} cases[] = {
  {"250 ok\r\n", MXREPLY_DONE, 250, "250 ok", 1},
  {"250 ok\n", MXREPLY_DONE, 250, "250 ok", 1},
  {"250\r\n", MXREPLY_DONE, 250, "250", 1},
  {"250 \r\n", MXREPLY_DONE, 250, "250", 1},
  {"250-\r\n250 x\r\n", MXREPLY_DONE, 250, "250 x", 2},
  {"220-a\r\n220-b c\r\n220 d\r\n", MXREPLY_DONE, 220, "220 a b c d", 3},
  {"571 blocked\r\n", MXREPLY_DONE, 571, "571 blocked", 1},
  {"250 a\r b\r\n", MXREPLY_DONE, 250, "250 a\r b", 1},
  {"250 first\r\n250 second\r\n", MXREPLY_DONE, 250, "250 first", 1},
  {"250-only\r\n", MXREPLY_LINE, 250, "250 only", 1},
  {"250 no end", MXREPLY_MORE, 0, "", 0},
  {"\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"25\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"2500 x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"250:x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"199 x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"650 x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"x50 x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {" 250 x\r\n", MXREPLY_GARBLED, 0, "", 0},
  {"250-a\r\n251 b\r\n", MXREPLY_GARBLED, 250, "250 a", 1},
  {"550-a\r\ngarbage\r\n", MXREPLY_GARBLED, 550, "550 a", 1},
};

static void test_cases(void)
{
  char text[MXREPLY_TEXT_MAX + 1];
  size_t used, first;

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    size_t len = strlen(cases[i].data);
    for (size_t split = 0; split <= len; split++) {
      CHECK_INT(feed(cases[i].data, len, split, &used), cases[i].result);
      CHECK_INT(r.code, cases[i].code);
      CHECK_INT(r.lines, cases[i].lines);
      memcpy(text, r.text, r.text_len);
      text[r.text_len] = 0;
      CHECK_STR(text, cases[i].text);
      first = split == 0 ? used : first;
      CHECK_INT(used, first);
    }
  }
}

/* Repeats unit until size bytes; the caller frees. */
static char *repeat(const char *unit, size_t times, size_t *len)
{
  size_t n = strlen(unit);
  char *s = malloc(n * times + 1);

  for (size_t i = 0; s && i < times; i++) {
    memcpy(s + i * n, unit, n);
  }
  *len = n * times;
  return s;
}

static void test_limits(void)
{
  char line[MXREPLY_LINE_MAX + 10], *s;
  size_t len, used;

  s = repeat("250-x\r\n", MXREPLY_LINES_MAX, &len);
  CHECK_INT(feed(s, len, 0, &used), MXREPLY_GARBLED);
  memcpy(s + len - 7, "250 x\r\n", 7);
  CHECK_INT(feed(s, len, 0, &used), MXREPLY_DONE);
  CHECK_INT(r.lines, MXREPLY_LINES_MAX);
  free(s);

  memset(line, 'x', sizeof(line));
  memcpy(line, "250 ", 4);
  line[MXREPLY_LINE_MAX - 1] = '\r';
  line[MXREPLY_LINE_MAX] = '\n';
  CHECK_INT(feed(line, MXREPLY_LINE_MAX + 1, 0, &used), MXREPLY_DONE);
  line[MXREPLY_LINE_MAX - 1] = 'x';
  line[MXREPLY_LINE_MAX] = '\r';
  line[MXREPLY_LINE_MAX + 1] = '\n';
  CHECK_INT(feed(line, MXREPLY_LINE_MAX + 2, 0, &used), MXREPLY_GARBLED);
  CHECK_INT(feed(line, MXREPLY_LINE_MAX + 2, 1000, &used), MXREPLY_GARBLED);

  memset(line, 'y', 1000);
  memcpy(line, "250-", 4);
  memcpy(line + 1000, "\r\n", 3);
  s = repeat(line, 100, &len);
  CHECK_INT(feed(s, len, 0, &used), MXREPLY_GARBLED);
  CHECK(used >= MXREPLY_BYTES_MAX && used < MXREPLY_BYTES_MAX + 1100);
  CHECK_INT(r.text_len, MXREPLY_TEXT_MAX);
  free(s);
}

int main(void)
{
  test_cases();
  test_limits();
  return check_done("remote_reply");
}
