/* Netstring fields: what was put comes back, and nothing garbled is taken. */
#include "netstring.h"
#include "check.h"

#include <errno.h>
#include <stdlib.h>

static void test_round(void)
{
  struct buf b = BUF_INIT(1000);
  struct netstring_reader r;
  const char *data;
  size_t len;
  uint64_t n;
  char s[6], c;

  CHECK_INT(netstring_put_str(&b, "hello"), 0);
  CHECK_INT(netstring_put(&b, NULL, 0), 0);
  CHECK_INT(netstring_put_u64(&b, UINT64_MAX), 0);
  CHECK_INT(netstring_put(&b, "a\0,", 3), 0);
  CHECK_INT(netstring_put_str(&b, "C"), 0);
  CHECK_STR(buf_cstr(&b) + 0, "5:hello,0:,20:18446744073709551615,3:a");
  netstring_open(&r, b.data, b.len);
  CHECK_INT(netstring_get_str(&r, s, sizeof s), 0);
  CHECK_STR(s, "hello");
  CHECK(netstring_get(&r, 0, &data, &len) == 0 && len == 0);
  CHECK(netstring_get_u64(&r, UINT64_MAX, &n) == 0 && n == UINT64_MAX);
  CHECK(netstring_get(&r, 3, &data, &len) == 0 && len == 3 && memcmp(data, "a\0,", 3) == 0);
  CHECK_INT(netstring_end(&r), -1); /* one is left */
  CHECK(netstring_more(&r));
  CHECK(netstring_get_char(&r, &c) == 0 && c == 'C');
  CHECK(!netstring_more(&r));
  CHECK_INT(netstring_end(&r), 0);
  CHECK_INT(netstring_get_char(&r, &c), -1);
  CHECK_INT(netstring_end(&r), -1);
  buf_free(&b);
}

static void test_garbled(void)
{
  static const struct {
    const char *s;
    size_t max;
    int result;
  } cases[] = {
      {"0:,", 0, 0},
      {"3:abc,", 3, 0},
      {"3:abc,", 2, -1},
      {"3:abc,x", 3, 0}, /* the rest is netstring_end()'s */
      {"", 9, -1},
      {":", 9, -1},
      {":,", 9, -1},
      {"3", 9, -1},
      {"3:", 9, -1},
      {"3:abc", 9, -1},
      {"3:ab,", 9, -1},
      {"3:abcd,", 9, -1},
      {"03:abc,", 9, -1},
      {"00:,", 9, -1},
      {"-1:,", 9, -1},
      {"+3:abc,", 9, -1},
      {" 3:abc,", 9, -1},
      {"3 :abc,", 9, -1},
      {"3;abc,", 9, -1},
      {"a:abc,", 9, -1},
      {"99999999999999999999999999:abc,", SIZE_MAX, -1},
      {"18446744073709551615:abc,", SIZE_MAX, -1},
      {"18446744073709551616:,", SIZE_MAX, -1},
      {"18446744073709551594:,", SIZE_MAX, -1},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t n = strlen(cases[i].s), len = 99;
    char *copy = malloc(n ? n : 1); /* no NUL: reading past it is seen by ASan */
    const char *data = NULL;
    struct netstring_reader r;
    if (!copy) {
      abort();
    }
    memcpy(copy, cases[i].s, n);
    netstring_open(&r, copy, n);
    CHECK_INT(netstring_get(&r, cases[i].max, &data, &len), cases[i].result);
    CHECK_INT(r.bad, cases[i].result != 0);
    CHECK(data != NULL && (cases[i].result == 0 || len == 0));
    free(copy);
  }
}

static void test_bad_is_for_good(void)
{
  struct netstring_reader r;
  uint64_t n = 7;
  char s[4] = "old", c = 'x';

  netstring_open(&r, "1:x,1:5,", 8);
  CHECK_INT(netstring_get_u64(&r, 9, &n), -1);
  CHECK_INT(n, 0);
  CHECK_INT(netstring_get_u64(&r, 9, &n), -1); /* a good field behind a bad one */
  CHECK_INT(netstring_get_str(&r, s, sizeof s), -1);
  CHECK_STR(s, "");
  CHECK_INT(netstring_get_char(&r, &c), -1);
  CHECK(!netstring_more(&r));
  CHECK_INT(netstring_end(&r), -1);
}

static void test_typed(void)
{
  struct netstring_reader r;
  uint64_t n;
  char s[4], c;

  netstring_open(&r, "3:a\0b,", 6);
  CHECK_INT(netstring_get_str(&r, s, sizeof s), -1); /* NUL */
  netstring_open(&r, "4:abcd,", 7);
  CHECK_INT(netstring_get_str(&r, s, sizeof s), -1); /* no room for the NUL */
  netstring_open(&r, "3:abc,", 6);
  CHECK_INT(netstring_get_str(&r, s, 0), -1);
  netstring_open(&r, "0:,", 3);
  CHECK_INT(netstring_get_char(&r, &c), -1);
  netstring_open(&r, "2:ab,", 5);
  CHECK_INT(netstring_get_char(&r, &c), -1);
  netstring_open(&r, "2:10,", 5);
  CHECK_INT(netstring_get_u64(&r, 9, &n), -1);
  netstring_open(&r, "0:,", 3);
  CHECK_INT(netstring_get_u64(&r, 9, &n), -1);
  netstring_open(&r, "2:-1,", 5);
  CHECK_INT(netstring_get_u64(&r, 9, &n), -1);
  netstring_open(&r, NULL, 0);
  CHECK(!netstring_more(&r) && netstring_end(&r) == 0);
}

static void test_put_is_whole_or_nothing(void)
{
  struct buf b = BUF_INIT(10);

  CHECK_INT(netstring_put_str(&b, "ab"), 0);
  CHECK_INT(b.len, 5);
  CHECK_INT(netstring_put_str(&b, "abc"), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(b.len, 5);
  CHECK_INT(netstring_put(&b, "x", SIZE_MAX), -1);
  CHECK_INT(netstring_put(&b, "x", SIZE_MAX - 21), -1);
  CHECK_INT(b.len, 5);
  CHECK_INT(netstring_put_str(&b, "cd"), 0);
  CHECK_STR(buf_cstr(&b), "2:ab,2:cd,");
  buf_free(&b);
}

int main(void)
{
  test_round();
  test_garbled();
  test_bad_is_for_good();
  test_typed();
  test_put_is_whole_or_nothing();
  return check_done("netstring");
}
