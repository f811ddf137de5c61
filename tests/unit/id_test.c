/* Ids: well formed, in order of time, never twice in a process or its child. */
#include "id.h"
#include "check.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MINTED 60000 /* several times the counter's span, faster than 8192 a ms */

static char ids[2 * MINTED][ID_SIZE];

static int compare(const void *a, const void *b)
{
  return strcmp(a, b);
}

static int mint_many(char (*out)[ID_SIZE])
{
  int wrong = 0;

  for (int i = 0; i < MINTED; i++) {
    id_mint(out[i]);
    wrong += !id_valid(out[i], strlen(out[i]));
    wrong += i > 0 && strncmp(out[i], out[i - 1], 9) < 0; /* the time's part */
  }
  return wrong;
}

static void test_unique(void)
{
  char *theirs = (char *)ids + sizeof ids / 2; /* the second half is the child's */
  int fds[2], wrong = 0, status = -1;
  size_t got = 0;

  CHECK_INT(pipe(fds), 0);
  id_mint(ids[0]); /* so that the child inherits a counter */
  pid_t pid = fork();
  if (pid == 0) {
    wrong = mint_many(ids + MINTED);
    ssize_t n = 0;
    for (size_t done = 0; done < sizeof ids / 2; done += (size_t)n) {
      n = write(fds[1], theirs + done, sizeof ids / 2 - done);
      if (n <= 0) {
        _exit(1);
      }
    }
    _exit(wrong != 0);
  }
  close(fds[1]);
  CHECK_INT(mint_many(ids), 0);
  for (ssize_t n; (n = read(fds[0], theirs + got, sizeof ids / 2 - got)) > 0;) {
    got += (size_t)n;
  }
  close(fds[0]);
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  CHECK_INT(got, sizeof ids / 2);
  qsort(ids, 2 * MINTED, ID_SIZE, compare);
  for (int i = 1; i < 2 * MINTED; i++) {
    wrong += strcmp(ids[i], ids[i - 1]) == 0;
  }
  CHECK_INT(wrong, 0);
}

static void test_valid(void)
{
  static const struct {
    const char *s;
    bool valid;
  } cases[] = {
      {"0123456789ABCDEF", true},  {"GHJKMNPQRSTVWXYZ", true},  {"0123456789ABCDE", false},
      {"0123456789ABCDEFG", false}, {"0123456789abcdef", false}, {"0123456789ABCDEI", false},
      {"L123456789ABCDEF", false}, {"0123456O89ABCDEF", false}, {"0123456U89ABCDEF", false},
      {"0123456 89ABCDEF", false}, {"01234567/9ABCDEF", false}, {"", false},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    CHECK_INT(id_valid(cases[i].s, strlen(cases[i].s)), cases[i].valid);
  }
  CHECK(!id_valid("0123456\0" "89ABCDEF", 16));
}

int main(void)
{
  test_unique();
  test_valid();
  return check_done("id");
}
