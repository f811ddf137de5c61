/* Numbers, case and UTF-8, each from memory that ends where the length says. */
#include "scan.h"
#include "check.h"

#include <string.h>

#include <errno.h>
#include <stdlib.h>

/* A copy without a NUL behind it: reading past it is seen by ASan. */
static char *exact(const char *s, size_t len)
{
  char *copy = malloc(len ? len : 1);

  if (!copy) {
    abort();
  }
  memcpy(copy, s, len);
  return copy;
}

static void test_u64(void)
{
  static const struct {
    const char *s;
    uint64_t max;
    int error;
    uint64_t value;
  } cases[] = {
      {"0", 0, 0, 0},
      {"1", 0, ERANGE, 0},
      {"", 9, EINVAL, 0},
      {"99", 99, 0, 99},
      {"100", 99, ERANGE, 0},
      {"007", 99, 0, 7},
      {"9", 5, ERANGE, 0},
      {"-1", 99, EINVAL, 0},
      {"+1", 99, EINVAL, 0},
      {" 1", 99, EINVAL, 0},
      {"1 ", 99, EINVAL, 0},
      {"1x", 99, EINVAL, 0},
      {"0x1", 99, EINVAL, 0},
      {"99999x", 99, EINVAL, 0},
      {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
      {"18446744073709551616", UINT64_MAX, ERANGE, 0},
      {"18446744073709551619", UINT64_MAX, ERANGE, 0},
      {"28446744073709551615", UINT64_MAX, ERANGE, 0},
      {"99999999999999999999999999", UINT64_MAX, ERANGE, 0},
      {"18446744073709551614", UINT64_MAX - 1, 0, UINT64_MAX - 1},
      {"18446744073709551615", UINT64_MAX - 1, ERANGE, 0},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = strlen(cases[i].s);
    char *s = exact(cases[i].s, len);
    uint64_t value = 12345;
    errno = 0;
    CHECK_INT(scan_u64(s, len, cases[i].max, &value), cases[i].error ? -1 : 0);
    CHECK_INT(errno, cases[i].error);
    CHECK(value == (cases[i].error ? 12345 : cases[i].value));
    free(s);
  }
  CHECK_INT(scan_digits("12a4", 4), 2);
  CHECK_INT(scan_digits("1234", 3), 3);
  CHECK_INT(scan_digits("", 0), 0);
  CHECK_INT(scan_digits("/:", 2), 0); /* the neighbours of 0 and 9 */
}

static void test_case(void)
{
  char s[] = "AZaz@[`{\xc9 9";

  CHECK(scan_case_equal("EHLO", 4, "ehlo", 4));
  CHECK(!scan_case_equal("EHLO", 4, "ehl", 3));
  CHECK(!scan_case_equal("@", 1, "`", 1));
  CHECK(!scan_case_equal("[", 1, "{", 1));
  CHECK(!scan_case_equal("\xc9", 1, "\xe9", 1)); /* Latin-1 is not ours */
  CHECK(scan_case_equal("", 0, "", 0));
  CHECK(scan_case_prefix("MAIL FROM:<", 11, "mail from:"));
  CHECK(!scan_case_prefix("MAIL", 4, "mail from:"));
  CHECK(scan_case_prefix("x", 1, ""));
  CHECK(scan_case_prefix("mail", 4, "MAIL"));
  CHECK(!scan_case_prefix("mai\0l", 5, "mail"));
  scan_lowercase(s, sizeof s - 1);
  CHECK_STR(s, "azaz@[`{\xc9 9");
}

static void test_utf8(void)
{
  static const struct {
    const char *s;
    size_t len;
    bool valid;
  } cases[] = {
      {"", 0, true},
      {"plain", 5, true},
      {"a\0b", 3, false},
      {"\xc3\xa9", 2, true},
      {"\xc3", 1, false},
      {"\xc3(", 2, false},
      {"\x80", 1, false},
      {"\xbf", 1, false},
      {"\xc0\x80", 2, false},     /* overlong NUL */
      {"\xc1\xbf", 2, false},     /* overlong */
      {"\xe0\x9f\xbf", 3, false}, /* overlong */
      {"\xe0\xa0\x80", 3, true},
      {"\xed\x9f\xbf", 3, true},
      {"\xed\xa0\x80", 3, false}, /* surrogate */
      {"\xee\x80\x80", 3, true},
      {"\xe2\x82", 2, false},
      {"\xe2\x82(", 3, false},
      {"\xf0\x8f\xbf\xbf", 4, false}, /* overlong */
      {"\xf0\x90\x80\x80", 4, true},
      {"\xf0\x9f\x98", 3, false},
      {"\xf0\x9f\x98\xc0", 4, false},
      {"\xf4\x8f\xbf\xbf", 4, true},
      {"\xf4\x90\x80\x80", 4, false}, /* over U+10FFFF */
      {"\xf5\x80\x80\x80", 4, false},
      {"\xff", 1, false},
      {"ok\xc3\xa9ok\xe2\x82\xac", 9, true},
      {"ok\xc3\xa9ok\xe2\x82\xac\xfe", 10, false},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *s = exact(cases[i].s, cases[i].len);
    CHECK_INT(scan_utf8_valid(s, cases[i].len), cases[i].valid);
    free(s);
  }
  CHECK(scan_ascii_only("a\x7f", 2));
  CHECK(!scan_ascii_only("a\x80", 2));
  CHECK(scan_ascii_only("", 0));
  /* It looks at blocks of 64 bytes: one bad byte anywhere. */
  char bytes[130];
  memset(bytes, 'a', sizeof bytes);
  CHECK(scan_ascii_only(bytes, sizeof bytes));
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (char)0x80;
    CHECK(!scan_ascii_only(bytes, sizeof bytes));
    CHECK(scan_ascii_only(bytes, i));
    bytes[i] = 'a';
  }
}

int main(void)
{
  test_u64();
  test_case();
  test_utf8();
  return check_done("scan");
}
