#include "inject_input.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static const struct {
  const char *in, *out;
  int dot_ends;
} table[] = {
  {"", "", 1},
  {"a", "a\r\n", 1},
  {"a\n", "a\r\n", 1},
  {"a\r\nb\n", "a\r\nb\r\n", 1},
  {"a\n.\nb\n", "a\r\n", 1},
  {"a\n.\nb\n", "a\r\n.\r\nb\r\n", 0},
  {"a\n.\r\nb\n", "a\r\n", 1},
  {"a\n.", "a\r\n", 1},
  {"a\n.", "a\r\n.\r\n", 0},
  {"..\n.a\n", "..\r\n.a\r\n", 1},
  {"H: a\rb\n\nx\ry\n", "H: a b\r\n\r\nx\r\ny\r\n", 1},
  {"\n.\rx\n", "\r\n.\r\nx\r\n", 1},
  {"\na\r\r\n", "\r\na\r\n\r\n", 1},
  {"\na\r", "\r\na\r\n", 1},
  {"H: a\r", "H: a\r\n", 1},
};

static enum inject_input_result run(struct inject_input *in, const char *s, size_t len, size_t piece,
                                    int dot_ends, uint64_t max)
{
  int pair[2];

  if (pipe(pair) < 0) {
    return INJECT_INPUT_READ;
  }
  for (size_t i = 0; i < len; i += piece) { /* all of it fits a pipe */
    CHECK(write(pair[1], s + i, len - i < piece ? len - i : piece) > 0);
  }
  close(pair[1]);
  enum inject_input_result r = inject_input_read(in, pair[0], dot_ends, max);
  close(pair[0]);
  return r;
}

static void check_big(void)
{
  struct inject_input in;
  char path[] = "/tmp/inject_input_test.XXXXXX", line[1001];
  int fd = mkstemp(path);

  CHECK(fd >= 0 && unlink(path) == 0);
  memset(line, 'x', 1000);
  line[1000] = '\n';
  for (int i = 0; i < 2000; i++) {
    CHECK(write(fd, line, sizeof line) == (ssize_t)sizeof line);
  }
  CHECK(lseek(fd, 0, SEEK_SET) == 0);
  CHECK_INT(inject_input_read(&in, fd, true, 1 << 30), INJECT_INPUT_OK);
  CHECK_INT(in.head.len, INJECT_HEAD_MAX);
  CHECK_INT(in.head.len + in.rest_len, 2000 * 1002);
  CHECK_INT(lseek(in.rest_fd, 0, SEEK_END), (long long)in.rest_len);
  inject_input_free(&in);
  close(fd);
}

int main(void)
{
  struct inject_input in;

  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    size_t len = strlen(table[i].in);
    CHECK_INT(run(&in, table[i].in, len, 1, table[i].dot_ends, 1000), INJECT_INPUT_OK);
    CHECK_STR(buf_cstr(&in.head), table[i].out);
    inject_input_free(&in);
  }
  CHECK_INT(run(&in, "a\0b\n", 4, 4, 1, 1000), INJECT_INPUT_NUL);
  inject_input_free(&in);
  CHECK_INT(run(&in, "12345678\n", 9, 9, 1, 9), INJECT_INPUT_TOO_BIG);
  inject_input_free(&in);
  CHECK_INT(run(&in, "\xe4\n", 2, 2, 1, 100), INJECT_INPUT_OK);
  CHECK(in.eight_bit);
  inject_input_free(&in);
  CHECK_INT(inject_input_read(&in, 999, 1, 100), INJECT_INPUT_READ);
  inject_input_free(&in);
  check_big();
  return check_done("inject_input");
}
