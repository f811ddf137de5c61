#include "inject_headers.h"
#include "inject_submit.h"

#include "check.h"

#include <sysexits.h>

#define ADDED                                                                                      \
  "Date: Sun, 22 Nov 2026 15:45:09 +0000\r\nMessage-ID: <ID@m.example>\r\n"                        \
  "From: Joe <joe@m.example>\r\n\r\n"
#define HAVE "Date: d\r\nMessage-ID: <1@x>\r\nFrom: j@x\r\n"

static const struct inject_writer writer = {.default_domain = "d.example", .me = "m.example",
                                            .from = "joe@m.example", .full_name = "Joe", .id = "ID",
                                            .now = 1795362309000};

static const struct {
  const char *in, *out, *rcpts; /* rcpts of -t; "!": malformed */
  size_t left; /* bytes of in that are the body */
} table[] = {
  {"", ADDED, "", 0},
  {"\r\nbody\r\n", ADDED, "", 6},
  {"body\r\n", ADDED, "", 6},
  {HAVE "\r\nx\r\n", HAVE "\r\n", "", 3},
  {HAVE "no field\r\n", HAVE "\r\n", "", 10},
  {HAVE "To: a, B <b>, c@x (C)\r\n\r\n", HAVE "To: a@d.example, B <b@d.example>, c@x (C)\r\n\r\n",
   "a@d.example b@d.example c@x", 0},
  {HAVE "tO : a,\r\n b\r\n\r\n", HAVE "tO : a@d.example,\r\n b@d.example\r\n\r\n",
   "a@d.example b@d.example", 0},
  {HAVE "Bcc: a@x\r\n b@x\r\nX: y\r\n\r\n", HAVE "X: y\r\n\r\n", "!", 0},
  {HAVE "Bcc: a@x,\r\n b@x\r\nTo: a@x\r\n\r\n", HAVE "To: a@x\r\n\r\n", "a@x b@x", 0},
  {HAVE "To: a@x\r\nResent-Bcc: b@x\r\n\r\n", HAVE "To: a@x\r\n\r\n", "b@x", 0},
  {HAVE "To: <a\r\n\r\n", HAVE "To: <a\r\n\r\n", "!", 0},
  {HAVE "Reply-To: <a\r\n\r\n", HAVE "Reply-To: <a\r\n\r\n", "", 0},
  {HAVE "Content-Length: 5\r\nReturn-Path: <a@x>\r\n\r\n", HAVE "\r\n", "", 0},
  {"From j Mon\r\n" HAVE "\r\n", HAVE "\r\n", "", 0},
  {HAVE "Bcc:\n\r\n", HAVE "\r\n", "", 0}, /* was an underflow */
  {">From j Mon\r\n" HAVE "\r\n", HAVE "\r\n", "", 0},
};

static void check_one(const char *in, bool with_rcpts, const char *out, const char *rcpts, size_t left)
{
  struct inject_headers h = {.body = 0};
  struct envelope e;
  char found[200] = "";
  const char *why;

  envelope_init(&e);
  int r = inject_headers_make(&h, in, strlen(in), &writer, with_rcpts ? &e : NULL, &why);
  for (uint32_t i = 0; i < e.rcpt_count; i++) {
    strcat(strcat(found, i ? " " : ""), e.rcpts[i].address);
  }
  if (with_rcpts) {
    CHECK_STR(r < 0 ? "!" : found, rcpts);
  } else {
    CHECK_INT(r, 0);
  }
  if (r == 0) {
    CHECK_STR(buf_cstr(&h.out), out);
    CHECK_INT(strlen(in) - h.body, left);
  }
  buf_free(&h.out);
  envelope_free(&e);
}

static void check_phrase(const char *name, const char *expected)
{
  struct buf b = BUF_INIT(1000);

  CHECK_INT(inject_put_phrase(&b, name), 0);
  CHECK_STR(buf_cstr(&b), expected);
  buf_free(&b);
}

int main(void)
{
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    check_one(table[i].in, false, table[i].out, "", table[i].left);
    check_one(table[i].in, true, table[i].out, table[i].rcpts, table[i].left);
  }
  check_phrase("", "");
  check_phrase("  ", "");
  check_phrase("Joe Doe", "Joe Doe");
  check_phrase("Joe, \"D\\oe\"", "\"Joe, \\\"D\\\\oe\\\"\"");
  check_phrase("Joe\r\nBcc: x", "");
  check_phrase("\xff", "");
  check_phrase("J\xc3\xb6", "=?utf-8?B?SsO2?=");
  check_phrase("\xc3\xb6xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xb6y",
               "=?utf-8?B?w7Z4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=?=\r\n "
               "=?utf-8?B?w7Z5?=");
  CHECK_INT(inject_exit_status(250, "2.0.0 ok"), EX_OK);
  CHECK_INT(inject_exit_status(451, "4.3.0 x"), EX_TEMPFAIL);
  CHECK_INT(inject_exit_status(0, ""), EX_TEMPFAIL);
  CHECK_INT(inject_exit_status(550, "5.1.1 x"), EX_NOUSER);
  CHECK_INT(inject_exit_status(550, "5.7.1 x"), EX_NOPERM);
  CHECK_INT(inject_exit_status(550, "x"), EX_UNAVAILABLE);
  return check_done("inject_headers");
}
