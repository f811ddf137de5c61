#include "sasl.h"

#include "check.h"

static void test_base64(void)
{
  static const struct {
    const char *text, *encoded;
  } good[] = {{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
              {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe\xfd", "//79"}};
  static const char *const bad[] = {"Z",        "Zg",   "Zg=",  "Zg===",  "Zh==", "Zm9=", "Z===",
                                    "Zg==Zg==", "====", "Zm 9", "Zm9v\n", "Z=9v", "Zm-v"};
  char out[100];
  size_t n;

  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    sasl_base64_encode(good[i].text, strlen(good[i].text), out);
    CHECK_STR(out, good[i].encoded);
    CHECK(sasl_base64_decode(good[i].encoded, strlen(good[i].encoded), out, sizeof out, &n));
    CHECK(n == strlen(good[i].text) && memcmp(out, good[i].text, n) == 0);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK(!sasl_base64_decode(bad[i], strlen(bad[i]), out, sizeof out, &n));
  }
  CHECK(sasl_base64_decode("Zm9vYg==", 8, out, 4, &n));
  CHECK(!sasl_base64_decode("Zm9vYg==", 8, out, 3, &n));
}

static void test_parse(void)
{
  const char *initial;
  size_t n;

  CHECK_INT(sasl_parse("plain", 5, &initial, &n), SASL_PLAIN);
  CHECK(!initial);
  CHECK_INT(sasl_parse("PLAIN  x=", 9, &initial, &n), SASL_PLAIN);
  CHECK(initial && n == 2 && memcmp(initial, "x=", 2) == 0);
  CHECK_INT(sasl_parse("Login", 5, &initial, &n), SASL_LOGIN);
  CHECK_INT(sasl_parse("CRAM-MD5", 8, &initial, &n), SASL_CRAM_MD5);
  CHECK_INT(sasl_parse("PLAINX", 6, &initial, &n), SASL_UNKNOWN);
  CHECK_INT(sasl_parse("", 0, &initial, &n), SASL_UNKNOWN);
}

static void check_reply(const char *reply, const char *want)
{
  CHECK(want ? reply && strncmp(reply, want, strlen(want)) == 0 : !reply);
}

#define MESSAGE(s) (s), sizeof(s) - 1

static void test_plain(void)
{
  static const struct {
    const char *message;
    size_t len;
    const char *reply;
  } cases[] = {
    {MESSAGE("\0ann\0secret"), NULL},
    {MESSAGE("ann\0ann\0secret"), NULL},
    {MESSAGE("\0ann\0with blank"), NULL},
    {MESSAGE("bob\0ann\0secret"), "535"},
    {MESSAGE("an\0ann\0secret"), "535"},
    {MESSAGE("\0ann\0"), "535"},
    {MESSAGE("\0ann\0se\0cret"), "535"},
    {MESSAGE("\0\0secret"), "535"},
    {MESSAGE("\0a b\0secret"), "535"},
    {MESSAGE("\0a\nb\0secret"), "535"},
    {MESSAGE("\0ann"), "501"},
    {MESSAGE("ann"), "501"},
    {MESSAGE(""), "501"},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct authd_request q = {.verb = 0};

    check_reply(sasl_plain(cases[i].message, cases[i].len, &q), cases[i].reply);
    if (!cases[i].reply) {
      CHECK_STR(q.user, "ann");
      CHECK_INT(q.verb, 'P');
    }
  }
}

static void test_others(void)
{
  struct authd_request q = {.verb = 0};
  char longest[300];

  memset(longest, 'x', sizeof longest);
  check_reply(sasl_login_user("ann", 3, &q), NULL);
  check_reply(sasl_login_user(longest, 64, &q), NULL);
  check_reply(sasl_login_user(longest, 65, &q), "535");
  check_reply(sasl_login_password(longest, 255, &q), NULL);
  CHECK_INT(strlen(q.password), 255);
  check_reply(sasl_login_password(longest, 256, &q), "535");
  check_reply(sasl_cram_md5(MESSAGE("ann 0123456789abcdef0123456789abcdef"), &q), NULL);
  CHECK_INT(q.verb, 'C');
  CHECK_STR(q.user, "ann");
  CHECK_STR(q.response, "0123456789abcdef0123456789abcdef");
  check_reply(sasl_cram_md5(MESSAGE("ann 0123456789ABCDEF0123456789abcdef"), &q), "501");
  check_reply(sasl_cram_md5(MESSAGE("ann 0123456789abcdef"), &q), "501");
  check_reply(sasl_cram_md5(MESSAGE("a b 0123456789abcdef0123456789abcdef"), &q), "501");
  check_reply(sasl_cram_md5(MESSAGE(" 0123456789abcdef0123456789abcdef"), &q), "535");
  check_reply(sasl_cram_md5(MESSAGE(""), &q), "501");
}

int main(void)
{
  test_base64();
  test_parse();
  test_plain();
  test_others();
  return check_done("sasl_test");
}
