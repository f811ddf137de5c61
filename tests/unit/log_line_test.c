#include "log_line.h"

#include "check.h"
#include "tai64n.h"

#include <stdlib.h>
#include <time.h>

#define STAMP "@400000006b075a2f2ca1f4ec "

static struct log_text text(const char *s)
{
  return (struct log_text){s, strlen(s)};
}

static const char *copy(struct log_text t)
{
  static char out[200];

  snprintf(out, sizeof(out), "%.*s", t.s ? (int)t.len : 4, t.s ? t.s : "none");
  return out;
}

static void test_tai64n(void)
{
  static const struct {
    const char *s;
    long long at; /* -1: no stamp */
  } cases[] = {
    {"@400000000000000a00000000", 0},
    {"@400000000000000a00000001", 1},
    {"@400000000000000b00000000", 1000000000},
    {"@4000000037c219bf2ef02e94", 935467445787492500}, /* of the manual of tai64nlocal */
    {"@400000006b075a2f2ca1f4ec", 1795643941748811500},
    {"@400000006b075a2f2ca1f4ec rest", 1795643941748811500},
    {"@400000000000000900000000", -1},  /* before 1970 */
    {"@400000006b075a2f3b9aca00", -1},  /* a whole second of nanoseconds */
    {"@400000006b075a2f3b9ac9ff", 1795643941999999999},
    {"@ffffffffffffffff00000000", -1},
    {"@400000006B075A2F2CA1F4EC", -1},  /* multilog writes small letters */
    {"@400000006b075a2f2ca1f4e", -1},
    {"@400000006b075a2f2ca1f4eg", -1},
    {" 400000006b075a2f2ca1f4ec", -1},
    {"@", -1},
    {"", -1},
  };
  char out[TAI64N_TEXT_SIZE], back[TAI64N_LENGTH + 1];
  int64_t at;

  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    at = -1;
    bool good = tai64n_parse(cases[i].s, strlen(cases[i].s), &at);
    CHECK_INT(good ? at : -1, cases[i].at);
    if (good) {
      tai64n_format(at, back);
      CHECK(memcmp(back, cases[i].s, TAI64N_LENGTH) == 0);
    }
  }
  tai64n_utc(1795643941748811500, out);
  CHECK_STR(out, "2026-11-25 21:59:01.748811");
  tai64n_utc(1795643941000000999, out);
  CHECK_STR(out, "2026-11-25 21:59:01.000000");
  setenv("TZ", "Asia/Tokyo", 1);
  tzset();
  tai64n_local(1795643941748811500, out);
  CHECK_STR(out, "2026-11-26 06:59:01.748811");
}

static void test_lines(void)
{
  static const struct {
    const char *s;
    unsigned pid;
    char direction; /* 'x': no line at all */
    const char *text;
  } cases[] = {
    {STAMP "123 < MAIL FROM:<a@b>", 123, '<', "MAIL FROM:<a@b>"},
    {STAMP "123 > 250 ok", 123, '>', "250 ok"},
    {STAMP "4194304 = end reason=quit", 4194304, '=', "end reason=quit"},
    {STAMP "123 <", 123, '<', ""},
    {STAMP "123 < ", 123, '<', ""},
    {STAMP "123 <  two", 123, '<', " two"},
    {STAMP "123 <x", 0, 0, "123 <x"},
    {STAMP "123 ? x", 0, 0, "123 ? x"},
    {STAMP "123", 0, 0, "123"},
    {STAMP "0 < x", 0, 0, "0 < x"},
    {STAMP "12345678 < x", 0, 0, "12345678 < x"},
    {STAMP "12a < x", 0, 0, "12a < x"},
    {STAMP "tcpserver: pid 77 from 127.0.0.1", 77, 't', "tcpserver: pid 77 from 127.0.0.1"},
    {STAMP "tcpserver: end 77 status 0", 77, 't', "tcpserver: end 77 status 0"},
    {STAMP "tcpserver: status: 1/40", 0, 0, "tcpserver: status: 1/40"},
    {STAMP "tcpserver: pid x", 0, 0, "tcpserver: pid x"},
    {STAMP "relay-queue: fatal: no", 0, 0, "relay-queue: fatal: no"},
    {STAMP, 0, 0, ""},
    {"123 < no stamp", 0, 'x', ""},
    {"", 0, 'x', ""},
  };
  struct log_line line;

  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    bool good = log_line_parse(cases[i].s, strlen(cases[i].s), &line);
    CHECK_INT(good, cases[i].direction != 'x');
    if (good) {
      CHECK_INT(line.pid, cases[i].pid);
      CHECK_INT(line.direction, cases[i].direction);
      CHECK_STR(copy(line.text), cases[i].text);
      CHECK_INT(line.at, 1795643941748811500);
    }
  }
}

/* The value of key in a '=' line's text. */
static const char *value(const char *line, const char *key)
{
  struct log_facts facts;

  log_facts_parse(text(line), &facts);
  return copy(log_facts_get(&facts, key));
}

static void test_facts(void)
{
  struct log_facts facts;

  CHECK_STR(value("queued id=1M8 serial=7 from=<a@b>", "id"), "1M8");
  CHECK_STR(value("queued id=1M8 serial=7 from=<a@b>", "from"), "a@b");
  CHECK_STR(value("queued id=1M8 serial=7 from=<>", "from"), "");
  CHECK_STR(value("queued id=1M8 serial=7 from=<>", "serial"), "7");
  CHECK_STR(value("queued id=1M8", "missing"), "none");
  CHECK_STR(value("connect host= ip=127.0.0.1 port=1 failed: Connection refused", "host"), "");
  CHECK_STR(value("connect host= ip=127.0.0.1 port=1 failed: Connection refused", "port"), "1");
  CHECK_STR(value("connect tls=TLSv1.2,ECDHE-ECDSA-AES128 x=y", "tls"), "TLSv1.2,ECDHE-ECDSA-AES128");
  /* A quoted local part may hold anything that a fact has. */
  CHECK_STR(value("queued from=<\"a> id=EVIL \"@b> x=1", "from"), "\"a> id=EVIL \"@b");
  CHECK_STR(value("queued from=<\"a> id=EVIL \"@b> x=1", "id"), "none");
  CHECK_STR(value("queued from=<\"a\\\"> id=EVIL \"@b> x=1", "x"), "1");
  /* A peer's reply may hold quotes, and what looks like facts. */
  CHECK_STR(value("result id=A reply=\"550 no such \"user\" here\"", "reply"), "550 no such \"user\" here");
  CHECK_STR(value("result id=A reply=\"550 x\" id=B verdict=delivered\"", "id"), "A");
  CHECK_STR(value("result id=A reply=\"550 x\" id=B verdict=delivered\"", "verdict"), "none");
  CHECK_STR(value("result id=A reply=\"550 x\" tls=none", "tls"), "none");
  CHECK_STR(value("result id=A reply=\"550 x\" tls=1", "reply"), "550 x");
  CHECK_STR(value("result reply=\"", "reply"), "");
  CHECK_STR(value("result reply=\"\"", "reply"), "");
  CHECK_STR(value("result reply=\"cut in the mid", "reply"), "cut in the mid");
  CHECK_STR(value("queued from=<cut@exam", "from"), "cut@exam");
  CHECK_STR(value("x a=1 a=2", "a"), "1");
  CHECK_STR(value("x =1 A=2 b", "b"), "none");
  CHECK_STR(value("", "b"), "none");
  log_facts_parse(text("deliver id=A ms=12 mail=-1 big=99999999999999999999"), &facts);
  CHECK(log_text_is(facts.word, "deliver"));
  CHECK_INT(log_facts_number(&facts, "ms", 5), 12);
  CHECK_INT(log_facts_number(&facts, "mail", 5), 5);
  CHECK_INT(log_facts_number(&facts, "big", 5), 5);
  CHECK_INT(log_facts_number(&facts, "none", 5), 5);
}

static void test_smtp(void)
{
  static const struct {
    const char *line, *verb, *address; /* NULL: it is not that command */
  } cases[] = {
    {"MAIL FROM:<a@b>", "MAIL FROM:", "a@b"},
    {"mail from: <a@b> SIZE=3", "MAIL FROM:", "a@b"},
    {"MAIL  FROM:<>", "MAIL FROM:", ""},
    {"MAIL FROM:a@b BODY=7BIT", "MAIL FROM:", "a@b"},
    {"MAIL FROM:", "MAIL FROM:", ""},
    {"RCPT TO:<\"a b>\"@c> NOTIFY=NEVER", "RCPT TO:", "\"a b>\"@c"},
    {"RCPT TO:<a@b>", "MAIL FROM:", NULL},
    {"RCPTTO:<a@b>", "RCPT TO:", NULL},
    {"RCPT", "RCPT TO:", NULL},
    {"", "RCPT TO:", NULL},
  };
  struct log_text address;
  bool last;

  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    bool good = log_text_address(text(cases[i].line), cases[i].verb, &address);
    CHECK_INT(good, cases[i].address != NULL);
    if (good && cases[i].address) {
      CHECK_STR(copy(address), cases[i].address);
    }
  }
  CHECK_INT(log_text_reply(text("250 ok"), &last), 250);
  CHECK(last);
  CHECK_INT(log_text_reply(text("250-more"), &last), 250);
  CHECK(!last);
  CHECK_INT(log_text_reply(text("221"), &last), 221);
  CHECK(last);
  CHECK_INT(log_text_reply(text("2500 x"), &last), 0);
  CHECK_INT(log_text_reply(text("25"), &last), 0);
  CHECK_INT(log_text_reply(text("Subject: x"), &last), 0);
}

int main(void)
{
  test_tai64n();
  test_lines();
  test_facts();
  test_smtp();
  return check_done("log_line");
}
