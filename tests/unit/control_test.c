#include "control.h"

#include "check.h"
#include "home.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cdb.h>

static void put(const char *name, const char *text, size_t len)
{
  char path[64];
  FILE *f;

  snprintf(path, sizeof(path), "control/%s", name);
  f = fopen(path, "w");
  CHECK(f && fwrite(text, 1, len, f) == len);
  if (f) {
    fclose(f);
  }
}

static void put_str(const char *name, const char *text)
{
  put(name, text, strlen(text));
}

static void test_values(void)
{
  static const struct {
    const char *text;
    enum control_result result;
    uint64_t value;
    const char *error;
  } cases[] = {
    {"432000\n", CONTROL_OK, 432000, NULL},
    {"7  \t\nignored\n", CONTROL_OK, 7, NULL},
    {"1", CONTROL_OK, 1, NULL},
    {"abc\n", CONTROL_MALFORMED, 0, "control/n:1: not a number from 1 to 31536000: abc"},
    {"0\n", CONTROL_MALFORMED, 0, "control/n:1: not a number from 1 to 31536000: 0"},
    {"31536001\n", CONTROL_MALFORMED, 0, "control/n:1: not a number from 1 to 31536000: 31536001"},
    {"", CONTROL_MALFORMED, 0, "control/n:1: not a number from 1 to 31536000: "},
    {"5\r\n", CONTROL_MALFORMED, 0, "control/n:1: control byte 0x0d"},
  };
  uint64_t value, list[3];
  char text[8];
  size_t i, count = 99;

  value = 42;
  CHECK_INT(control_u64("absent", 1, 9, &value), CONTROL_MISSING);
  CHECK_INT(value, 42);
  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    put_str("n", cases[i].text);
    value = 0;
    CHECK_INT(control_u64("n", 1, 31536000, &value), cases[i].result);
    CHECK_INT(value, cases[i].value);
    if (cases[i].error) {
      CHECK_STR(control_error(), cases[i].error);
    }
  }
  put("z", "a\0b\n", 4);
  CHECK_INT(control_line("z", text, sizeof(text)), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/z:1: control byte 0x00");
  put_str("l", "12345678\n");
  CHECK_INT(control_line("l", text, sizeof(text)), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/l:1: longer than 7 bytes");
  put_str("l", "1234567\n");
  CHECK_INT(control_line("l", text, sizeof(text)), CONTROL_OK);
  CHECK_STR(text, "1234567");
  CHECK_INT(mkdir("control/d", 0755), 0);
  CHECK_INT(control_line("d", text, sizeof(text)), CONTROL_UNREADABLE);
  CHECK_STR(control_error(), "control/d: not a regular file");
  CHECK_INT(mkfifo("control/f", 0600), 0);
  CHECK_INT(control_line("f", text, sizeof(text)), CONTROL_UNREADABLE);

  put_str("retry", "# seconds\n300 600\n\n1200\n");
  CHECK_INT(control_u64_list("retry", 1, 9999, list, 3, &count), CONTROL_OK);
  CHECK(count == 3 && list[0] == 300 && list[1] == 600 && list[2] == 1200);
  CHECK_INT(control_u64_list("retry", 1, 9999, list, 2, &count), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/retry:4: more than 2 numbers");
  put_str("retry", "300\n60x 5\n");
  CHECK_INT(control_u64_list("retry", 1, 9999, list, 3, &count), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/retry:2: not a number from 1 to 9999: 60x");
  put_str("retry", "# none\n");
  CHECK_INT(control_u64_list("retry", 1, 9999, list, 3, &count), CONTROL_MALFORMED);
}

static void test_lists(void)
{
  static char line[CONTROL_LINE_MAX + 20];
  struct control_list list;

  put_str("list", "# comment\nfirst  \n\n \t\n second\nlast");
  CHECK_INT(control_list("list", &list), CONTROL_OK);
  CHECK_INT(list.count, 3);
  CHECK_STR(list.lines[0], "first");
  CHECK_STR(list.lines[1], " second");
  CHECK_STR(list.lines[2], "last");
  CHECK(list.number[0] == 2 && list.number[1] == 5 && list.number[2] == 6);
  CHECK_INT(control_fail("list", list.number[1], "no such %s", "site"), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/list:5: no such site");
  control_list_free(&list);
  put_str("list", "");
  CHECK_INT(control_list("list", &list), CONTROL_OK);
  CHECK_INT(list.count, 0);
  control_list_free(&list);
  memset(line, 'x', CONTROL_LINE_MAX + 2);
  memcpy(line, "a\n", 2);
  put_str("list", line);
  CHECK_INT(control_list("list", &list), CONTROL_OK);
  control_list_free(&list);
  line[CONTROL_LINE_MAX + 2] = 'x';
  put_str("list", line);
  CHECK_INT(control_list("list", &list), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/list:2: longer than 1000 bytes");
  put_str("list", "ok\nb\033d\n");
  CHECK_INT(control_list("list", &list), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/list:2: control byte 0x1b");
}

static void test_me(void)
{
  char me[300];

  CHECK_INT(control_me(me, sizeof(me)), CONTROL_OK);
  CHECK(me[0] != '\0');
  put_str("me", "mx.example.com\n");
  CHECK_INT(control_me(me, sizeof(me)), CONTROL_OK);
  CHECK_STR(me, "mx.example.com");
  put_str("me", "not a domain\n");
  CHECK_INT(control_me(me, sizeof(me)), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/me:1: not a domain: not a domain");
}

static void make_cdb(const char *path)
{
  struct cdb_make make;
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

  CHECK_INT(cdb_make_start(&make, fd), 0);
  CHECK_INT(cdb_make_add(&make, "example.com", 11, "", 0), 0);
  CHECK_INT(cdb_make_add(&make, ".example.org", 12, "", 0), 0);
  CHECK_INT(cdb_make_finish(&make), 0);
  close(fd);
}

static void test_contains(void)
{
  static const struct {
    const char *domain;
    bool found;
  } cases[] = {
    {"example.com", true},
    {"EXAMPLE.com", true},
    {"a.example.com", false},
    {"a.example.org", true},
    {"a.B.Example.ORG", true},
    {"example.org", false},
    {"badexample.com", false},
    {"com", false},
    {"", false},
  };
  bool found = true;
  size_t i;
  int cdb;

  CHECK_INT(control_contains("absent", "x", &found), CONTROL_MISSING);
  put_str("rcpthosts", "# ours\nexample.com\n.Example.org\n");
  for (cdb = 0; cdb < 2; cdb++) {
    if (cdb) {
      make_cdb("control/rcpthosts.cdb");
      unlink("control/rcpthosts");
    }
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
      found = !cases[i].found;
      CHECK_INT(control_contains_domain("rcpthosts", cases[i].domain, &found), CONTROL_OK);
      CHECK_INT(found, cases[i].found);
    }
    CHECK_INT(control_contains("rcpthosts", "example.com", &found), CONTROL_OK);
    CHECK_INT(found, true);
    CHECK_INT(control_contains("rcpthosts", "Example.com", &found), CONTROL_OK);
    CHECK_INT(found, !cdb); /* a cdb's key is exact */
  }
  put_str("named", "out1 192.0.2.1 - -\nout2\t-\nout3\n");
  CHECK_INT(control_contains_name("named", "out1", &found), CONTROL_OK);
  CHECK(found);
  CHECK_INT(control_contains_name("named", "out2", &found), CONTROL_OK);
  CHECK(found);
  CHECK_INT(control_contains_name("named", "out3", &found), CONTROL_OK);
  CHECK(found);
  CHECK_INT(control_contains_name("named", "Out1", &found), CONTROL_OK);
  CHECK(!found);
  CHECK_INT(control_contains_name("named", "out", &found), CONTROL_OK);
  CHECK(!found);
  CHECK_INT(control_contains_name("absent", "out1", &found), CONTROL_MISSING);
  CHECK(!found);
  put_str("bad.cdb", "short");
  CHECK_INT(control_contains("bad", "x", &found), CONTROL_MALFORMED);
  CHECK_STR(control_error(), "control/bad.cdb: not a cdb");
  put_str("bad.cdb", "");
  CHECK_INT(control_contains("bad", "x", &found), CONTROL_MALFORMED);
}

int main(void)
{
  char dir[] = "/tmp/control_test.XXXXXX", command[64];

  CHECK(mkdtemp(dir) != NULL);
  CHECK_INT(home_enter("/nonexistent"), -1);
  CHECK_INT(home_enter(dir), 0);
  CHECK_INT(mkdir("control", 0755), 0);
  CHECK_INT(mkdir("run", 0755), 0);
  CHECK_INT(home_enter(NULL), 0); /* stays: control/ and run/ are here */
  test_values();
  test_lists();
  test_me();
  test_contains();
  snprintf(command, sizeof(command), "rm -r %s", dir);
  CHECK_INT(system(command), 0);
  return check_done("control");
}
