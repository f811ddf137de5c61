#include "dsn_field.h"

#include "check.h"

#include <stdlib.h>

static void check_field(const char *text, bool utf8, const char *expected)
{
  struct buf b = BUF_INIT(100000);

  CHECK_INT(dsn_put_field(&b, "X", text, utf8), 0);
  CHECK_STR(buf_cstr(&b), expected);
  buf_free(&b);
}

static void check_orcpt(const char *orcpt, bool utf8, const char *expected)
{
  struct buf b = BUF_INIT(10000);

  CHECK_INT(dsn_decode_orcpt(&b, orcpt, utf8), 0);
  CHECK_STR(buf_cstr(&b), expected);
  buf_free(&b);
}

/* Words of every length: no line is too long, and nothing is lost. */
static void check_lengths(void)
{
  for (size_t len = 1; len < 3000; len += 7) {
    struct buf b = BUF_INIT(100000);
    char *word = malloc(len + 1);
    size_t column = 0, longest = 0, letters = 0;
    memset(word, 'w', len);
    word[len] = '\0';
    CHECK_INT(dsn_put_field(&b, "Diagnostic-Code", word, false), 0);
    for (size_t i = 0; i < b.len; i++) {
      column = b.data[i] == '\n' ? 0 : column + 1;
      longest = column > longest ? column : longest;
      letters += b.data[i] == 'w';
      CHECK(b.data[i] != '\n' || i + 1 == b.len || b.data[i + 1] == ' ');
    }
    CHECK(longest <= DSN_LINE_MAX + 1); /* with the CR */
    CHECK_INT(letters, len);
    free(word);
    buf_free(&b);
  }
}

int main(void)
{
  check_field("a b", false, "X: a b\r\n");
  check_field("  a   b  ", false, "X: a b\r\n");
  check_field("", false, "X: \r\n");
  check_field("a\r\nEvil: x", false, "X: a\\x0d\\x0aEvil: x\r\n");
  check_field("a\tb\x7f", false, "X: a\\x09b\\x7f\r\n");
  check_field("\xc3\xbc", false, "X: \\xC3\\xBC\r\n");
  check_field("\xc3\xbc", true, "X: \xc3\xbc\r\n");
  check_field("\xc3", true, "X: \\xc3\r\n");
  check_field("\xc2\x85", true, "X: \\xc2\\x85\r\n");
  check_field("aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff ggggggggg hhhhhhhhh iiii",
              false,
              "X: aaaaaaaaa bbbbbbbbb ccccccccc ddddddddd eeeeeeeee fffffffff ggggggggg\r\n"
              " hhhhhhhhh iiii\r\n");
  check_lengths();
  check_orcpt("rfc822;a+2Bb@x", false, "rfc822; a+b@x");
  check_orcpt("rfc822;a+2", false, "rfc822; a+2");
  check_orcpt("rfc822;a+zz", false, "rfc822; a+zz");
  check_orcpt("rfc822;a+0D+0A", false, "rfc822; a\r\n"); /* cleaned when it is written */
  check_orcpt("none", false, "none");
  check_orcpt("utf-8;\\x{FC}\\x{20AC}\\x{1F600}@x", true, "utf-8; \xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80@x");
  check_orcpt("UTF-8;\\x{FC}", false, "UTF-8; \\x{FC}");
  check_orcpt("utf-8;\\x{D800}\\x{110000}\\x{}\\x{1234567}\\x{41", true,
              "utf-8; \\x{D800}\\x{110000}\\x{}\\x{1234567}\\x{41");
  return check_done("dsn_field");
}
