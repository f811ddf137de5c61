/* Addresses: what is taken, in which form it comes out, what is refused and why. */
#include "address.h"
#include "check.h"

#include <stdlib.h>

#define E_ACUTE "\xc3\xa9"
#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"
#define A64 A60 "aaaa"
#define D252 A63 "." A63 "." A63 "." A60
#define D255 D252 "aaa"

struct address_case {
  const char *s;
  bool utf8;
  enum address_result result;
  const char *out;
};

/* Each is tried bare and, in angle brackets with parameters behind, as a path. */
static const struct address_case mailboxes[] = {
    {"user@example.com", 0, ADDRESS_OK, "user@example.com"},
    {"User@EXAMPLE.Com", 0, ADDRESS_OK, "User@example.com"},
    {"user@example.com.", 0, ADDRESS_OK, "user@example.com"},
    {"postmaster", 0, ADDRESS_OK, "postmaster"},
    {"!#$%&'*+-/=?^_`{|}~09azAZ@x", 0, ADDRESS_OK, "!#$%&'*+-/=?^_`{|}~09azAZ@x"},
    {"user@xn--bcher-kva.example", 0, ADDRESS_OK, "user@xn--bcher-kva.example"},
    {"user@a--b.9.x", 0, ADDRESS_OK, "user@a--b.9.x"},
    /* dots that should not be, and are */
    {"a..b@docomo.ne.jp", 0, ADDRESS_OK, "a..b@docomo.ne.jp"},
    {"abc.@ezweb.ne.jp", 0, ADDRESS_OK, "abc.@ezweb.ne.jp"},
    {".a@x", 0, ADDRESS_OK, ".a@x"},
    {".@x", 0, ADDRESS_SYNTAX, ""},
    {"..@x", 0, ADDRESS_SYNTAX, ""},
    /* quoted */
    {"\"a b\"@x", 0, ADDRESS_OK, "\"a b\"@x"},
    {"\"ab\"@x", 0, ADDRESS_OK, "ab@x"},
    {"\"a.b\"@x", 0, ADDRESS_OK, "a.b@x"},
    {"\"\\a\\b\"@x", 0, ADDRESS_OK, "ab@x"},
    {"\"a..b\"@x", 0, ADDRESS_OK, "\"a..b\"@x"},
    {"\"a.\"@x", 0, ADDRESS_OK, "\"a.\"@x"},
    {"\"a@b\"@x", 0, ADDRESS_OK, "\"a@b\"@x"},
    {"\"a@b\"", 0, ADDRESS_OK, "\"a@b\""},
    {"\"a>b\"@x", 0, ADDRESS_OK, "\"a>b\"@x"},
    {"\"a\\\"b\\\\c\"@x", 0, ADDRESS_OK, "\"a\\\"b\\\\c\"@x"},
    {"\"a\\ b\"@x", 0, ADDRESS_OK, "\"a b\"@x"},
    {"\"\"@x", 0, ADDRESS_OK, "\"\"@x"},
    {"\"a\tb\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\\\nb\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\x7f\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\\\x7f\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\\", 0, ADDRESS_SYNTAX, ""},
    {"\"a\\\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\"b@x", 0, ADDRESS_SYNTAX, ""},
    {"a\"b\"@x", 0, ADDRESS_SYNTAX, ""},
    {"\"a\".b@x", 0, ADDRESS_SYNTAX, ""}, /* obs-local-part */
    {"\"", 0, ADDRESS_SYNTAX, ""},
    /* not atoms */
    {"", 0, ADDRESS_SYNTAX, ""},
    {"@", 0, ADDRESS_SYNTAX, ""},
    {"@x", 0, ADDRESS_SYNTAX, ""},
    {"a@", 0, ADDRESS_SYNTAX, ""},
    {"a@@x", 0, ADDRESS_SYNTAX, ""},
    {"a@b@x", 0, ADDRESS_SYNTAX, ""},
    {"a b@x", 0, ADDRESS_SYNTAX, ""},
    {" a@x", 0, ADDRESS_SYNTAX, ""},
    {"a @x", 0, ADDRESS_SYNTAX, ""},
    {"a\t@x", 0, ADDRESS_SYNTAX, ""},
    {"a\r\nRCPT@x", 0, ADDRESS_SYNTAX, ""},
    {"a\x7f@x", 0, ADDRESS_SYNTAX, ""},
    {"a(b)@x", 0, ADDRESS_SYNTAX, ""},
    {"a,b@x", 0, ADDRESS_SYNTAX, ""},
    {"a:b@x", 0, ADDRESS_SYNTAX, ""},
    {"a;b@x", 0, ADDRESS_SYNTAX, ""},
    {"a<b@x", 0, ADDRESS_SYNTAX, ""},
    {"a[b]@x", 0, ADDRESS_SYNTAX, ""},
    {"a\\b@x", 0, ADDRESS_SYNTAX, ""},
    /* domains */
    {"a@.x", 0, ADDRESS_SYNTAX, ""},
    {"a@x..", 0, ADDRESS_SYNTAX, ""},
    {"a@x..y", 0, ADDRESS_SYNTAX, ""},
    {"a@.", 0, ADDRESS_SYNTAX, ""},
    {"a@-x", 0, ADDRESS_SYNTAX, ""},
    {"a@x-", 0, ADDRESS_SYNTAX, ""},
    {"a@x-.y", 0, ADDRESS_SYNTAX, ""},
    {"a@x.-y", 0, ADDRESS_SYNTAX, ""},
    {"a@x-.", 0, ADDRESS_SYNTAX, ""},
    {"a@x_y", 0, ADDRESS_SYNTAX, ""},
    {"a@x y", 0, ADDRESS_SYNTAX, ""},
    {"a@\"x\"", 0, ADDRESS_SYNTAX, ""},
    {"a@x/y", 0, ADDRESS_SYNTAX, ""},
    /* literals */
    {"a@[192.0.2.1]", 0, ADDRESS_OK, "a@[192.0.2.1]"},
    {"a@[IPv6:2001:DB8::1]", 0, ADDRESS_OK, "a@[IPv6:2001:db8::1]"},
    {"a@[ipv6:2001:db8:0:0:0:0:0:1]", 0, ADDRESS_OK, "a@[IPv6:2001:db8::1]"},
    {"a@[X-Tag:any!thing]", 0, ADDRESS_OK, "a@[x-tag:any!thing]"},
    {"a@[192.0.2.256]", 0, ADDRESS_SYNTAX, ""},
    {"a@[2001:db8::1]", 0, ADDRESS_SYNTAX, ""},
    {"a@[abcd::1]", 0, ADDRESS_SYNTAX, ""},
    {"a@[IPv6:x]", 0, ADDRESS_SYNTAX, ""},
    {"a@[IPv6:192.0.2.1]", 0, ADDRESS_SYNTAX, ""},
    {"a@[:x]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag-:x]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:x y]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:x@y]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:x>y]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:x\"]", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:x[y]", 0, ADDRESS_SYNTAX, ""},
    {"a@[]", 0, ADDRESS_SYNTAX, ""},
    {"a@[", 0, ADDRESS_SYNTAX, ""},
    {"a@]", 0, ADDRESS_SYNTAX, ""},
    {"a@[192.0.2.1", 0, ADDRESS_SYNTAX, ""},
    {"a@[192.0.2.1].", 0, ADDRESS_SYNTAX, ""},
    {"a@[192.0.2.1]x", 0, ADDRESS_SYNTAX, ""},
    {"a@[tag:" E_ACUTE "]", 1, ADDRESS_SYNTAX, ""},
    /* UTF-8 */
    {E_ACUTE "@x", 1, ADDRESS_OK, E_ACUTE "@x"},
    {"a@" E_ACUTE ".X", 1, ADDRESS_OK, "a@" E_ACUTE ".x"},
    {"\"" E_ACUTE " b\"@x", 1, ADDRESS_OK, "\"" E_ACUTE " b\"@x"},
    {"\"" E_ACUTE "\"@x", 1, ADDRESS_OK, E_ACUTE "@x"},
    {E_ACUTE "@x", 0, ADDRESS_NEEDS_UTF8, ""},
    {"a@" E_ACUTE ".x", 0, ADDRESS_NEEDS_UTF8, ""},
    {"\"" E_ACUTE " b\"@x", 0, ADDRESS_NEEDS_UTF8, ""},
    {E_ACUTE "@x..y", 0, ADDRESS_SYNTAX, ""},
    {"\"\\" E_ACUTE "\"@x", 1, ADDRESS_SYNTAX, ""}, /* pairs are ASCII */
    {"\xe9@x", 1, ADDRESS_SYNTAX, ""},
    {"\xe9@x", 0, ADDRESS_SYNTAX, ""},
    {"\"\xe9\"@x", 1, ADDRESS_SYNTAX, ""},
    {"a@\xc3.x", 1, ADDRESS_SYNTAX, ""},
    {"a\xc0\x80@x", 1, ADDRESS_SYNTAX, ""},
    /* lengths */
    {A64 "@x", 0, ADDRESS_OK, A64 "@x"},
    {A64 "a@x", 0, ADDRESS_TOO_LONG, ""},
    {A64 "a", 0, ADDRESS_TOO_LONG, ""},
    {A64 A64 A64 A64 A64 A64 "@x", 0, ADDRESS_TOO_LONG, ""},
    {"\"" A64 "\"@x", 0, ADDRESS_OK, A64 "@x"},
    {"\"" A64 "a\"@x", 0, ADDRESS_TOO_LONG, ""},
    {"\"" A60 "a \"@x", 0, ADDRESS_OK, "\"" A60 "a \"@x"},
    {"\"" A60 "aa \"@x", 0, ADDRESS_TOO_LONG, ""},
    {"\"" A64 A64 A64 A64 A64 A64 " \"@x", 0, ADDRESS_TOO_LONG, ""},
    {A63 E_ACUTE "@x", 1, ADDRESS_TOO_LONG, ""}, /* octets */
    {A64 "a@x..", 0, ADDRESS_SYNTAX, ""},
    {"a@" A63, 0, ADDRESS_OK, "a@" A63},
    {"a@" A64, 0, ADDRESS_SYNTAX, ""},
    {"a@x." A64 ".x", 0, ADDRESS_SYNTAX, ""},
    {"a@" D255, 0, ADDRESS_OK, "a@" D255},
    {"a@" D255 ".", 0, ADDRESS_OK, "a@" D255},
    {A64 "@" D255, 0, ADDRESS_OK, A64 "@" D255},
    {"a@" D252 ".xxx", 0, ADDRESS_TOO_LONG, ""},
    {"a@" D252 ".x." D252, 0, ADDRESS_TOO_LONG, ""},
    {A64 "a@" D252 ".xxx", 0, ADDRESS_TOO_LONG, ""},
};

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

static void check_case(const struct address_case *c, const char *s, size_t len)
{
  char out[ADDRESS_SIZE], again[ADDRESS_SIZE], path[1200];
  size_t used, n;

  CHECK_INT(address_parse(s, len, c->utf8, out), c->result);
  CHECK_STR(out, c->out);
  if (c->result == ADDRESS_OK) { /* what came out stays as it is */
    CHECK_INT(address_parse(out, strlen(out), c->utf8, again), ADDRESS_OK);
    CHECK_STR(again, out);
  }
  n = (size_t)snprintf(path, sizeof path, "<%.*s> SIZE=1>", (int)len, s);
  char *copy = exact(path, n);
  enum address_result result = address_parse_path(copy, n, c->utf8, true, out, &used);
  free(copy);
  if (len == 0 || (len > 1 && s[0] == '@')) {
    return; /* "<>" and "<@x>" are other things than "" and "@x" */
  }
  CHECK_INT(result, c->result);
  CHECK_STR(out, c->out);
  CHECK_INT(used, c->result == ADDRESS_OK ? len + 2 : 0);
  CHECK_INT(address_parse_path(path, len + 1, c->utf8, true, out, &used), ADDRESS_SYNTAX);
}

static void test_mailboxes(void)
{
  for (size_t i = 0; i < sizeof mailboxes / sizeof *mailboxes; i++) {
    size_t len = strlen(mailboxes[i].s);
    char *s = exact(mailboxes[i].s, len);
    int before = check_failed;
    check_case(&mailboxes[i], s, len);
    if (check_failed != before) {
      fprintf(stderr, "  that was \"%s\"\n", mailboxes[i].s);
    }
    free(s);
  }
}

static void test_paths(void)
{
  static const struct {
    const char *s;
    bool null_allowed, utf8;
    enum address_result result;
    const char *out;
    size_t used;
  } cases[] = {
      {"<>", true, 0, ADDRESS_OK, "", 2},
      {"<> SIZE=5", true, 0, ADDRESS_OK, "", 2},
      {"<>", false, 0, ADDRESS_SYNTAX, "", 0},
      {"< >", true, 0, ADDRESS_SYNTAX, "", 0},
      {"", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<", true, 0, ADDRESS_SYNTAX, "", 0},
      {"a@b", true, 0, ADDRESS_SYNTAX, "", 0},
      {" <a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<a@b", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<a@b >", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<a@b>>", true, 0, ADDRESS_OK, "a@b", 5},
      {"<<a@b>>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x,@y.z:a@b>", true, 0, ADDRESS_OK, "a@b", 13},
      {"<@x:a@b>", true, 0, ADDRESS_OK, "a@b", 8},
      {"<@x:postmaster>", true, 0, ADDRESS_OK, "postmaster", 15},
      {"<@x:>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x:", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x,", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x,:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x,y:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x@y:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x,@:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@-x:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@[192.0.2.1]:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x:@y:a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<@x:\"a,b:c\"@b>", true, 0, ADDRESS_OK, "\"a,b:c\"@b", 14},
      {"<@" E_ACUTE ":a@b>", true, 1, ADDRESS_OK, "a@b", 9},
      {"<@" E_ACUTE ":a@b>", true, 0, ADDRESS_SYNTAX, "", 0},
      {"<\"a>b\"@x>", true, 0, ADDRESS_OK, "\"a>b\"@x", 9},
      {"<a@[192.0.2.1]>", true, 0, ADDRESS_OK, "a@[192.0.2.1]", 15},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char out[ADDRESS_SIZE];
    size_t used = 999, len = strlen(cases[i].s);
    char *s = exact(cases[i].s, len);
    CHECK_INT(address_parse_path(s, len, cases[i].utf8, cases[i].null_allowed, out, &used),
              cases[i].result);
    CHECK_STR(out, cases[i].out);
    CHECK_INT(used, cases[i].used);
    free(s);
  }
  char out[ADDRESS_SIZE];
  CHECK_INT(address_parse("a\0b@x", 5, true, out), ADDRESS_SYNTAX);
  CHECK_INT(address_parse("a@x\0y", 5, true, out), ADDRESS_SYNTAX);
  CHECK_INT(address_parse("\"a\0b\"@x", 7, true, out), ADDRESS_SYNTAX);
}

static void test_domain(void)
{
  static const struct {
    const char *address, *domain;
  } cases[] = {
      {"a@b.c", "b.c"},          {"\"a@b\"@c", "c"}, {"\"a@b\"", NULL},
      {"postmaster", NULL},      {"", NULL},         {"a@[192.0.2.1]", "[192.0.2.1]"},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *domain = address_domain(cases[i].address);
    CHECK_INT(domain != NULL, cases[i].domain != NULL);
    if (cases[i].domain) {
      CHECK_STR(domain, cases[i].domain);
    }
  }
  CHECK(address_domain_valid("example.com", 11, false));
  CHECK(!address_domain_valid("example.com.", 12, false));
  CHECK(!address_domain_valid("", 0, true));
  CHECK(address_domain_valid("[IPv6:::1]", 10, false));
  CHECK(!address_domain_valid(E_ACUTE, 2, false));
  CHECK(address_domain_valid(E_ACUTE, 2, true));
  CHECK(address_domain_valid(D255, 255, false));
  CHECK(!address_domain_valid(D255 "a", 256, false));
}

static void test_xtext(void)
{
  static const struct {
    const char *s;
    bool valid;
  } cases[] = {
      {"", true},      {"QQ314159", true}, {"a+2Bb+3D", true}, {"+00", true},  {"a=b", false},
      {"a b", false},  {"a+", false},      {"a+2", false},     {"+2b", false}, {"+G0", false},
      {"\x7f", false}, {"\x80", false},    {"!~", true},       {"++2B", false}, {"a\n", false},
  };

  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t len = strlen(cases[i].s);
    char *s = exact(cases[i].s, len);
    CHECK_INT(address_xtext_valid(s, len), cases[i].valid);
    free(s);
  }
  CHECK(!address_xtext_valid("a\0b", 3));
  CHECK(!address_xtext_valid("+0\0", 3));
}

int main(void)
{
  test_mailboxes();
  test_paths();
  test_domain();
  test_xtext();
  return check_done("address");
}
