/* judge.c: which reply or failure becomes which verdict and status. */
#include "judge.h"

#include "check.h"

#include <errno.h>

static const struct {
  enum stage stage;
  const char *text;
  int others;
  enum verdict verdict;
  const char *status;
} replies[] = {
  {STAGE_DOT, "250 2.0.0 taken", 0, VERDICT_DELIVERED, "2.0.0"},
  {STAGE_DOT, "250 taken", 0, VERDICT_DELIVERED, "2.0.0"},
  {STAGE_DOT, "550 5.7.1 spam", 0, VERDICT_FAILED, "5.7.1"},
  {STAGE_DOT, "550 5.7.509 dmarc", 0, VERDICT_FAILED, "5.7.509"},
  {STAGE_DOT, "550 4.7.1 two minds", 0, VERDICT_FAILED, "5.0.0"},
  {STAGE_DOT, "451 later", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_DOT, "452 4.3.1 full", 0, VERDICT_DEFERRED, "4.3.1"},
  {STAGE_DOT, "354 more", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_DATA, "250 taken", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_DATA, "250 2.0.0 taken", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_DATA, "554 no", 0, VERDICT_FAILED, "5.0.0"},
  {STAGE_MAIL, "250 ok", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_MAIL, "421 bye", 0, VERDICT_DEFERRED, "4.3.2"},
  {STAGE_MAIL, "552 too big", 0, VERDICT_FAILED, "5.3.4"},
  {STAGE_RCPT, "552 full", 0, VERDICT_FAILED, "5.2.2"},
  {STAGE_RCPT, "552 too many", 1, VERDICT_DEFERRED, "4.5.3"},
  {STAGE_RCPT, "552 5.5.3 too many", 1, VERDICT_DEFERRED, "4.5.3"},
  {STAGE_RCPT, "552 5.2.2 full", 1, VERDICT_FAILED, "5.2.2"},
  {STAGE_RCPT, "452 too many", 1, VERDICT_DEFERRED, "4.5.3"},
  {STAGE_RCPT, "550 5.1.1 no", 1, VERDICT_FAILED, "5.1.1"},
  {STAGE_BANNER, "554 5.7.1 blocked", 0, VERDICT_DEFERRED, "4.7.1"},
  {STAGE_BANNER, "521 no mail", 0, VERDICT_DEFERRED, "4.3.2"},
  {STAGE_BANNER, "521 5.7.1 blocked", 0, VERDICT_DEFERRED, "4.7.1"},
  {STAGE_HELO, "550 no", 0, VERDICT_DEFERRED, "4.0.0"},
  {STAGE_HELO, "556 no", 0, VERDICT_DEFERRED, "4.1.10"},
  {STAGE_TLS, "521 no", 0, VERDICT_DEFERRED, "4.3.2"},
  {STAGE_RCPT, "556 no", 0, VERDICT_FAILED, "5.1.10"},
};

static void make_reply(struct mxreply *r, const char *text)
{
  memset(r, 0, sizeof(*r));
  r->code = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  r->lines = 1;
  r->text_len = strlen(text);
  memcpy(r->text, text, r->text_len);
}

static void test_replies(void)
{
  static struct mxreply r;
  struct outcome o;

  for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
    make_reply(&r, replies[i].text);
    judge_reply(&o, replies[i].stage, &r, replies[i].others);
    CHECK_INT(o.verdict, replies[i].verdict);
    CHECK_STR(o.status, replies[i].status);
    CHECK_STR(o.reply, replies[i].text);
    CHECK_INT(o.code, r.code);
    CHECK_INT(o.stage, replies[i].stage);
  }
}

static void test_text(void)
{
  static struct mxreply r;
  struct outcome o;

  make_reply(&r, "550 \x1b[31m\xff\x7f ok \xc3\xa4");
  judge_reply(&o, STAGE_RCPT, &r, 0);
  CHECK_STR(o.reply, "550 \\x1b[31m\\xff\\x7f ok \xc3\xa4");
  memset(r.text + 4, 1, sizeof(r.text) - 4);
  r.text_len = sizeof(r.text);
  judge_reply(&o, STAGE_RCPT, &r, 0);
  CHECK(strlen(o.reply) < OUTCOME_REPLY_SIZE && strlen(o.reply) > OUTCOME_REPLY_SIZE - 8);
}

/* No failure of a session is ever permanent. */
static void test_trouble(void)
{
  static const int errors[] = {ETIMEDOUT,
                               ECONNREFUSED,
                               EHOSTUNREACH,
                               JUDGE_CLOSED,
                               JUDGE_GARBLED,
                               JUDGE_CANCELLED,
                               JUDGE_UNSOLICITED,
                               ENOMEM,
                               EMFILE,
                               EACCES,
                               0,
                               99999};
  static const char stages[] = "-cbhtmrd.";
  struct outcome o;

  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
    for (const char *s = stages; *s; s++) {
      judge_trouble(&o, (enum stage) * s, errors[i]);
      CHECK_INT(o.verdict, VERDICT_DEFERRED);
      CHECK_INT(o.status[0], '4');
      CHECK_INT(o.code, 0);
      CHECK(*o.reply);
    }
  }
  judge_trouble(&o, STAGE_DOT, JUDGE_CLOSED);
  CHECK(strstr(o.reply, "twice") != NULL);
  judge_local(&o, STAGE_MAIL, "5.3.4", "%d bytes", 7);
  CHECK_INT(o.verdict, VERDICT_FAILED);
  CHECK_STR(o.reply, "7 bytes");
}

int main(void)
{
  test_replies();
  test_text();
  test_trouble();
  return check_done("remote_verdict");
}
