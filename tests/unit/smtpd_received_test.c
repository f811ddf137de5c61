#include "received.h"

#include "check.h"

#define WHEN 1795362309000 /* Sun, 22 Nov 2026 15:45:09 */
#define DATE ";\r\n  Sun, 22 Nov 2026 15:45:09 +0000\r\n"

static const struct {
  const char *helo, *ip, *host;
  bool esmtp, smtputf8;
  const char *only_rcpt, *expected;
} cases[] = {
  {"mail.example", "192.0.2.1", "", true, false, NULL,
   "Received: from mail.example ([192.0.2.1])\r\n  by relay.test with ESMTP id ID" DATE},
  {"mail.example", "2001:db8::1", "h.example", false, false, "a@b.example",
   "Received: from mail.example (h.example [IPv6:2001:db8::1])\r\n  by relay.test with SMTP id ID"
   "\r\n  for <a@b.example>" DATE},
  {"[192.0.2.9]", "192.0.2.1", "", true, true, NULL,
   "Received: from [192.0.2.9] ([192.0.2.1])\r\n  by relay.test with UTF8SMTP id ID" DATE},
  {"m\xc3\xbcll.example", "192.0.2.1", "", true, true, NULL,
   "Received: from m\xc3\xbcll.example ([192.0.2.1])\r\n  by relay.test with UTF8SMTP id ID" DATE},
  {"m\xc3\xbcll.example", "192.0.2.1", "", true, false, NULL,
   "Received: from m??ll.example ([192.0.2.1])\r\n  by relay.test with ESMTP id ID" DATE},
  {"my_host (x); by \"y\"", "", "", true, false, NULL,
   "Received: from my_host??x???by??y?\r\n  by relay.test with ESMTP id ID" DATE},
};

static void check_helo(const char *s, size_t len, const char *expected)
{
  char out[20];

  received_clean_helo(s, len, out, sizeof out);
  CHECK_STR(out, expected);
}

/* What we wrote we know again, as data.c hands it on: unfolded. */
static void check_own(const struct buf *b)
{
  char field[4096];
  size_t len = 0;

  for (size_t i = 0; i < b->len; i++) {
    if (b->data[i] != '\r' && b->data[i] != '\n') {
      field[len++] = b->data[i];
    }
  }
  CHECK(received_is_by(field, len, "relay.test"));
  CHECK(received_is_by(field, len, "RELAY.test"));
  CHECK(!received_is_by(field, len, "relay.tes"));
  CHECK(!received_is_by(field, len, "elay.test"));
  CHECK(!received_is_by(field, len, "relay.test2"));
  CHECK(!received_is_by(field, 20, "relay.test"));
}

int main(void)
{
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ip client = {.family = 0};
    struct buf b = BUF_INIT(4096);
    struct received r = {.helo = cases[i].helo,
                         .client = &client,
                         .client_host = cases[i].host,
                         .me = "relay.test",
                         .id = "ID",
                         .only_rcpt = cases[i].only_rcpt,
                         .esmtp = cases[i].esmtp,
                         .smtputf8 = cases[i].smtputf8,
                         .when = WHEN};
    if (*cases[i].ip) {
      CHECK_INT(ip_parse(cases[i].ip, strlen(cases[i].ip), &client), 0);
    }
    CHECK_INT(received_put(&b, &r), 0);
    CHECK_STR(buf_cstr(&b), cases[i].expected);
    check_own(&b);
    buf_free(&b);
  }
  CHECK(!received_is_by("Received: by relay.test with x", 30, "relay.test"));
  CHECK(!received_is_by("X: from a by relay.test with x", 30, "relay.test"));
  CHECK(received_is_by("received: FROM a by relay.test with x", 37, "relay.test"));
  CHECK(!received_is_by("Received: from a by", 19, "relay.test"));
  check_helo("a\r\nb\x7f", 5, "a??b?");
  check_helo("\xc3\xbc", 2, "\xc3\xbc");
  check_helo("\xc3x", 2, "?x");
  check_helo("012345678901234567890123", 24, "0123456789012345678");
  return check_done("smtpd_received_test");
}
