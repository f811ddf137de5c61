/* The reply that tells a submitter what an MX said. */
#include "through_words.h"
#include "check.h"

#include <string.h>

static struct outcome outcome(enum verdict v, int code, const char *status, const char *reply)
{
  struct outcome o = {.verdict = v, .code = code, .host = "mx.example[192.0.2.1]"};

  strcpy(o.status, status);
  strcpy(o.reply, reply);
  return o;
}

static void expect(struct outcome o, int code, const char *text)
{
  char got[INTAKE_TEXT_SIZE];
  int got_code;

  through_words(&o, &got_code, got);
  CHECK_INT(got_code, code);
  CHECK_STR(got, text);
}

static void usual(void)
{
  expect(outcome(VERDICT_DELIVERED, 250, "2.0.0", "250 2.0.0 Ok: queued as 4F"), 250,
         "2.0.0 mx.example[192.0.2.1] said: Ok: queued as 4F");
  expect(outcome(VERDICT_DELIVERED, 250, "2.0.0", "250 Ok"), 250,
         "2.0.0 mx.example[192.0.2.1] said: Ok");
  expect(outcome(VERDICT_FAILED, 550, "5.1.1", "550 5.1.1 no such user"), 550,
         "5.1.1 mx.example[192.0.2.1] said: no such user");
  expect(outcome(VERDICT_DEFERRED, 450, "4.2.0", "450 later"), 450,
         "4.2.0 mx.example[192.0.2.1] said: later");
}

static void classes(void)
{
  /* A 554 banner is a deferral: the class is the verdict's. */
  expect(outcome(VERDICT_DEFERRED, 554, "4.7.1", "554 5.7.1 blocked"), 451,
         "4.7.1 mx.example[192.0.2.1] said: blocked");
  expect(outcome(VERDICT_DELIVERED, 200, "2.0.0", "200 fine"), 200,
         "2.0.0 mx.example[192.0.2.1] said: fine");
  expect(outcome(VERDICT_FAILED, 550, "4.0.0", "550 odd"), 550,
         "5.0.0 mx.example[192.0.2.1] said: odd");
}

static void own_words(void)
{
  expect(outcome(VERDICT_FAILED, 0, "5.1.10", "this domain takes no mail (null MX)"), 550,
         "5.1.10 this domain takes no mail (null MX)");
  expect(outcome(VERDICT_DEFERRED, 0, "4.4.2", "timed out while sending RCPT"), 451,
         "4.4.2 timed out while sending RCPT");
  expect(outcome(VERDICT_DROPPED, 0, "5.0.0", "dropped"), 250, "2.0.0 dropped");
}

static void hostile(void)
{
  struct outcome o = outcome(VERDICT_DELIVERED, 250, "2.0.0", "");
  char got[INTAKE_TEXT_SIZE];
  int code;

  memset(o.reply, 'x', sizeof o.reply - 1);
  memcpy(o.reply, "250 ", 4);
  through_words(&o, &code, got);
  /* RFC 5321 4.5.3.1.5: 512 bytes with code, blank and CRLF. */
  CHECK(strlen(got) == 506 && strcmp(got + 503, "...") == 0);
  expect(outcome(VERDICT_DELIVERED, 250, "2.0.0", "250 2.0.0 \xc3\xa4\r\n250 \x1b[2J"), 250,
         "2.0.0 mx.example[192.0.2.1] said: ????250 ?[2J");
}

int main(void)
{
  usual();
  classes();
  own_words();
  hostile();
  return check_done("through_words");
}
