/* The buffer: appends are all or nothing, the maximum holds, growth loses nothing. */
#include "buf.h"
#include "check.h"

#include <errno.h>
#include <stdint.h>

static void test_empty(void)
{
  struct buf b = BUF_INIT(10);

  CHECK_STR(buf_cstr(&b), "");
  CHECK(buf_append(&b, NULL, 0) == 0);
  CHECK(b.data == NULL && b.len == 0 && b.cap == 0);
  buf_consume(&b, 0);
  buf_reset(&b);
  buf_free(&b);
  buf_init(&b, 0);
  CHECK(buf_append_char(&b, 'x') == -1 && errno == EMSGSIZE);
  CHECK_INT(buf_reserve(&b, 0), 0);
  CHECK_INT(buf_printf(&b, "%s", ""), 0);
  CHECK_STR(buf_cstr(&b), "");
  buf_free(&b);
}

static void test_maximum(void)
{
  struct buf b = BUF_INIT(5);

  CHECK_INT(buf_append_str(&b, "abc"), 0);
  errno = 0;
  CHECK_INT(buf_append_str(&b, "def"), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(b.len, 3);
  CHECK_INT(buf_printf(&b, "%d", 123), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_STR(buf_cstr(&b), "abc");
  CHECK_INT(buf_printf(&b, "%d", 12), 0); /* exactly full */
  CHECK_INT(b.len, 5);
  CHECK(b.cap <= b.max);
  CHECK_STR(buf_cstr(&b), "abc12");
  CHECK_INT(buf_append_char(&b, 'x'), -1);
  CHECK_INT(buf_reserve(&b, SIZE_MAX), -1);
  CHECK_INT(errno, EMSGSIZE);
  buf_free(&b);
  CHECK_INT(b.max, 5); /* and it can be used again */
  CHECK_INT(buf_append_str(&b, "12345"), 0);
  buf_free(&b);
}

static void test_huge(void)
{
  struct buf b = BUF_INIT(SIZE_MAX);

  CHECK_INT(buf_append_str(&b, "x"), 0);
  CHECK_INT(buf_reserve(&b, SIZE_MAX), -1);
  CHECK_INT(errno, EMSGSIZE);
  CHECK_INT(buf_reserve(&b, SIZE_MAX - 1), -1); /* len + extra is SIZE_MAX */
  CHECK_INT(errno, ENOMEM);
  CHECK_INT(buf_reserve(&b, (size_t)PTRDIFF_MAX), -1);
  CHECK_INT(errno, ENOMEM);
  CHECK_STR(buf_cstr(&b), "x");
  buf_free(&b);
}

static void test_growth(void)
{
  struct buf b = BUF_INIT(100000);
  int wrong = 0;

  for (int i = 0; i < 20000; i++) {
    wrong += buf_printf(&b, "%05d", i) != 0;
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(b.len, 100000);
  CHECK_INT(b.cap, 100000);
  for (int i = 0; i < 20000; i++) {
    char want[8];
    snprintf(want, sizeof want, "%05d", i);
    wrong += memcmp(b.data + 5 * i, want, 5) != 0;
  }
  CHECK_INT(wrong, 0);
  buf_consume(&b, 99990);
  CHECK_STR(buf_cstr(&b), "1999819999");
  buf_consume(&b, 3);
  CHECK_STR(buf_cstr(&b), "9819999");
  buf_consume(&b, 7);
  CHECK_INT(b.len, 0);
  CHECK_INT(b.cap, 100000);
  buf_append(&b, "a\0b", 3);
  CHECK(b.len == 3 && memcmp(b.data, "a\0b", 3) == 0);
  buf_reset(&b);
  CHECK_STR(buf_cstr(&b), "");
  buf_free(&b);
}

int main(void)
{
  test_empty();
  test_maximum();
  test_huge();
  test_growth();
  return check_done("buf");
}
