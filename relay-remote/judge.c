/* From replies and failures to verdicts. */
#include "judge.h"

#include "escape.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *stage_name(enum stage stage)
{
  switch (stage) {
  case STAGE_CONNECT:
    return "connecting";
  case STAGE_BANNER:
    return "waiting for the greeting";
  case STAGE_HELO:
    return "saying EHLO";
  case STAGE_TLS:
    return "starting TLS";
  case STAGE_MAIL:
    return "sending MAIL";
  case STAGE_RCPT:
    return "sending RCPT";
  case STAGE_DATA:
    return "sending the message";
  case STAGE_DOT:
    return "waiting for the reply to the final dot";
  case STAGE_NONE:
    break;
  }
  return "preparing";
}

/* RFC 3463 in the words of a reply without a status of its own. */
static const char *status_of_code(enum stage stage, int code)
{
  switch (code) {
  case 421:
    return "4.3.2";
  case 450:
    return "4.2.0";
  case 452:
    return stage == STAGE_RCPT ? "4.5.3" : "4.3.1";
  case 551:
    return "5.1.6";
  case 552:
    return stage == STAGE_RCPT ? "5.2.2" : "5.3.4";
  case 553:
    return stage == STAGE_MAIL ? "5.1.7" : "5.1.3";
  case 556:
    return "5.1.10"; /* RFC 7504 */
  case 521:
    return "5.3.2"; /* RFC 7504 */
  default:
    return code / 100 == 2 ? "2.0.0" : code / 100 == 5 ? "5.0.0" : "4.0.0";
  }
}

static void set_status(struct outcome *o, const char *s, size_t len)
{
  len = len < sizeof(o->status) - 1 ? len : sizeof(o->status) - 1;
  memcpy(o->status, s, len);
  o->status[len] = 0;
}

static void set_text(struct outcome *o, const char *s, size_t len)
{
  size_t written;

  escape_text(s, len, o->reply, sizeof(o->reply) - 1, &written);
  o->reply[written] = 0;
}

static bool is_too_many(int code, const char *status, bool others_accepted)
{
  return code == 552 && others_accepted && strncmp(status, "5.2.", 4) != 0;
}

/*
 * A 5xx before MAIL speaks of us or of the host, not of a message. 521 (RFC 7504) is no
 * exception: blocklists use it too, and one must not return everybody's mail.
 */
static bool is_final(enum stage stage, int code)
{
  return code / 100 == 5 && stage != STAGE_BANNER && stage != STAGE_HELO && stage != STAGE_TLS;
}

void judge_reply(struct outcome *o, enum stage stage, const struct mxreply *r, bool others_accepted)
{
  const char *text = r->text_len > 4 ? r->text + 4 : r->text;
  size_t len = r->text_len > 4 ? r->text_len - 4 : 0, n;
  const char *own;

  o->stage = stage;
  o->code = r->code;
  set_text(o, r->text, r->text_len);
  n = status_scan(text, len, r->code);
  if (n > 0 && n < sizeof(o->status)) {
    set_status(o, text, n);
  } else {
    own = status_of_code(stage, r->code);
    set_status(o, own, strlen(own));
  }
  if (r->code / 100 == 2 && stage == STAGE_DOT) {
    o->verdict = VERDICT_DELIVERED;
  } else if (is_too_many(r->code, n > 0 ? o->status : "", stage == STAGE_RCPT && others_accepted)) {
    o->verdict = VERDICT_DEFERRED;
    set_status(o, "4.5.3", 5);
  } else {
    o->verdict = is_final(stage, r->code) ? VERDICT_FAILED : VERDICT_DEFERRED;
  }
  /* A verdict and a status of different classes would confuse every reader. */
  if (o->verdict == VERDICT_DEFERRED && o->status[0] != '4') {
    o->status[0] = '4';
  }
}

/* RFC 3463: 4.4.1 no answer from host, 4.4.2 bad connection, 4.5.0 protocol. */
void judge_trouble(struct outcome *o, enum stage stage, int error)
{
  const char *status = stage == STAGE_CONNECT ? "4.4.1" : "4.4.2", *what;

  switch (error) {
  case ETIMEDOUT:
    what = "timed out";
    break;
  case JUDGE_CLOSED:
  case EPIPE:
  case ECONNRESET:
    what = "the connection was lost";
    break;
  case JUDGE_GARBLED:
    status = "4.5.0";
    what = "the reply was garbled or too long";
    break;
  case JUDGE_UNSOLICITED:
    status = "4.5.0";
    what = "a reply came that nothing had asked for";
    break;
  case JUDGE_TLS:
    status = "4.7.5";
    what = "TLS failed";
    break;
  case JUDGE_CANCELLED:
    status = "4.3.2";
    what = "cancelled";
    break;
  case ENOMEM:
  case EIO:
    status = "4.3.0";
    what = strerror(error);
    break;
  default:
    what = strerror(error);
  }
  judge_local(o, stage, status, "%s while %s%s", what, stage_name(stage),
              /* RFC 1047 */
              stage == STAGE_DOT ? "; if the message was taken, it will be delivered twice" : "");
}

void judge_local(struct outcome *o, enum stage stage, const char *status, const char *format, ...)
{
  char text[OUTCOME_REPLY_SIZE];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof(text), format, ap);
  va_end(ap);
  o->verdict = status[0] == '5' ? VERDICT_FAILED : VERDICT_DEFERRED;
  o->stage = stage;
  o->code = 0;
  set_status(o, status, strlen(status));
  set_text(o, text, strlen(text));
}
