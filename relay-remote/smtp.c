/* One transaction of the SMTP client: MAIL, RCPT, DATA, pipelined (RFC 2920) or step by step. */
#include "transaction.h"

#include "clock.h"
#include "scan.h"
#include "tls_client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The commands of a transaction, in order; each line's end in text. */
struct batch {
  struct buf text;
  size_t ends[WORK_RCPTS_MAX + 3];
  size_t count, sent, answered;
};

static struct transaction the_transaction; /* one at a time; too big for the stack */
static struct batch the_batch;

/* An outcome for every recipient that has none, from the errno of a broken session. */
static void break_off(struct transaction *t, enum stage stage, int error)
{
  struct outcome model;

  judge_trouble(&model, stage, error);
  transaction_decide_rest(t, &model);
  t->s->usable = false;
}

static void decide_by_reply(struct transaction *t, enum stage stage)
{
  struct outcome model;

  judge_reply(&model, stage, &t->s->reply, false);
  transaction_decide_rest(t, &model);
}

static void refuse_locally(struct transaction *t, uint32_t i, const char *status, const char *text)
{
  judge_local(&t->outcomes[i], STAGE_MAIL, status, "%s", text);
  t->decided[i] = true;
}

/*
 * RFC 6531 3.2: what needs SMTPUTF8 cannot go to an MX without it. What only
 * has the flag, and is all ASCII, can.
 */
static int check_utf8(struct transaction *t)
{
  const struct envelope *e = &t->envelope;
  const char *text = "the message needs SMTPUTF8, which the MX does not offer";
  int ascii;

  if (t->s->offer.smtputf8) {
    return 0;
  }
  ascii = 1;
  if (e->flags & ENVELOPE_SMTPUTF8) {
    ascii = content_header_is_ascii(t);
  }
  if (ascii == -1) {
    return -1;
  }
  ascii = ascii && scan_ascii_only(e->sender, strlen(e->sender));
  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    const char *address = e->rcpts[t->job->rcpts[i]].address;
    if (!ascii || !scan_ascii_only(address, strlen(address))) {
      refuse_locally(t, i, "5.6.7", text);
    }
  }
  return 0;
}

/* RFC 1870 6.1: too large by the MX's own word. */
static void check_size(struct transaction *t)
{
  struct outcome model;

  if (t->s->offer.size_max > 0 && t->job->content_len > t->s->offer.size_max) {
    judge_local(&model, STAGE_MAIL, "5.3.4", "the message has %llu bytes, the MX takes %llu",
                (unsigned long long)t->job->content_len, (unsigned long long)t->s->offer.size_max);
    transaction_decide_rest(t, &model);
  }
}

static bool all_decided(const struct transaction *t)
{
  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    if (!t->decided[i]) {
      return false;
    }
  }
  return true;
}

static void end_line(struct batch *b)
{
  b->ends[b->count++] = b->text.len;
}

static int make_batch(struct transaction *t, struct batch *b)
{
  const struct session *s = t->s;
  int failed = 0;

  b->text.max = 1 << 20;
  buf_reset(&b->text);
  b->count = b->sent = b->answered = 0;
  if (s->needs_rset) {
    failed |= buf_append_str(&b->text, "RSET\r\n");
    end_line(b);
  }
  failed |= offer_mail(&b->text, &t->envelope, &s->offer, t->job->content_len, t->has_8bit);
  end_line(b);
  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    if (!t->decided[i]) {
      failed |= offer_rcpt(&b->text, &t->envelope.rcpts[t->job->rcpts[i]], &s->offer);
      end_line(b);
    }
  }
  failed |= buf_append_str(&b->text, "DATA\r\n");
  end_line(b);
  return failed ? -1 : 0;
}

/* The reply to the next command, which is sent if it is not yet: alone, or all if pipelining. */
static int exchange(struct transaction *t, struct batch *b, uint32_t seconds, int64_t *ms)
{
  struct session *s = t->s;
  size_t from, upto;
  int64_t took;

  if (b->answered == b->sent) {
    upto = s->offer.pipelining ? b->count : b->sent + 1;
    from = b->sent == 0 ? 0 : b->ends[b->sent - 1];
    if (session_send(s, b->text.data + from, b->ends[upto - 1] - from, seconds) == -1) {
      return -1;
    }
    b->sent = upto;
  }
  if (session_reply(s, seconds, &took) == -1) {
    return -1;
  }
  b->answered++;
  *ms = took > *ms ? took : *ms;
  return 0;
}

/* A kept connection that was dead before anything of this transaction was accepted. */
static bool is_stale(const struct transaction *t, int error)
{
  return t->s->used && !t->mail_accepted &&
         (error == JUDGE_CLOSED || error == ECONNRESET || error == EPIPE);
}

/* RSET, if one is due, and MAIL. True: go on with RCPT. */
static bool do_mail(struct transaction *t, struct batch *b)
{
  struct session *s = t->s;
  int64_t unused = -1;
  int error;

  if (s->needs_rset && exchange(t, b, s->open.timeouts.mail, &unused) == 0) {
    s->needs_rset = s->reply.code / 100 != 2;
    errno = JUDGE_UNSOLICITED; /* whoever refuses RSET is not in step */
  }
  if (!s->needs_rset && exchange(t, b, s->open.timeouts.mail, &t->end.ms_mail) == 0) {
    t->mail_accepted = s->reply.code / 100 == 2;
    if (t->mail_accepted) {
      return true;
    }
    t->end.stale = s->used && s->reply.code == 421;
    s->usable = s->reply.code != 421;
    if (!t->end.stale) {
      decide_by_reply(t, STAGE_MAIL);
    }
    /* Pipelined: the replies to RCPT and DATA are still to be taken off. */
    return s->usable && s->offer.pipelining;
  }
  error = errno;
  t->end.stale = error != JUDGE_CANCELLED && (s->needs_rset || is_stale(t, error));
  break_off(t, STAGE_MAIL, error);
  return false;
}

static void take_rcpt_reply(struct transaction *t, uint32_t i)
{
  if (t->s->reply.code / 100 == 2) {
    t->accepted[i] = true;
    t->accepted_count++;
    return;
  }
  judge_reply(&t->outcomes[i], STAGE_RCPT, &t->s->reply, t->accepted_count > 0);
  t->decided[i] = true;
}

/* True: go on with DATA. sent[i]: RCPT was (or is to be) sent for i. */
static bool do_rcpts(struct transaction *t, struct batch *b, const bool *sent)
{
  struct session *s = t->s;

  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    if (!sent[i]) {
      continue;
    }
    if (exchange(t, b, s->open.timeouts.rcpt, &t->end.ms_rcpt) == -1) {
      break_off(t, STAGE_RCPT, errno);
      return false;
    }
    if (t->mail_accepted) {
      take_rcpt_reply(t, i);
    }
    if (s->reply.code == 421) {
      decide_by_reply(t, STAGE_RCPT);
      s->usable = false;
      return false;
    }
  }
  s->needs_rset = t->mail_accepted;
  return t->accepted_count > 0 || s->offer.pipelining;
}

/*
 * RFC 2920 3.1: DATA was pipelined, nobody was accepted, and the MX says 354
 * all the same. It gets an empty message; whatever it answers delivers nothing.
 */
static void send_lone_dot(struct transaction *t)
{
  struct session *s = t->s;

  if (session_send(s, ".\r\n", 3, s->open.timeouts.dot) == -1 ||
      session_reply(s, s->open.timeouts.dot, NULL) == -1 || s->reply.code == 421) {
    s->usable = false;
  }
}

/* True: the MX waits for the message. */
static bool do_data(struct transaction *t, struct batch *b)
{
  struct session *s = t->s;
  int64_t unused = -1;

  if (exchange(t, b, s->open.timeouts.data, &unused) == -1) {
    break_off(t, STAGE_DATA, errno);
    return false;
  }
  if (s->reply.code == 354) {
    if (t->accepted_count > 0) {
      return true;
    }
    send_lone_dot(t);
    return false;
  }
  decide_by_reply(t, STAGE_DATA);
  /* A 2xx or another 3xx: the two sides do not agree about what goes on. */
  s->usable = s->reply.code >= 400 && s->reply.code != 421;
  return false;
}

/*
 * The content could not be written. An MX that gives up early may have said
 * why; only a refusal counts, as nothing was there yet to accept.
 */
static void explain_broken_content(struct transaction *t, enum stage stage, int error)
{
  struct session *s = t->s;

  if (error != JUDGE_CANCELLED && error != ETIMEDOUT && session_reply(s, 1, NULL) == 0 &&
      s->reply.code >= 400) {
    decide_by_reply(t, stage);
  }
  break_off(t, stage, error);
}

static void do_content(struct transaction *t)
{
  struct session *s = t->s;

  if (content_send(t) == -1) {
    explain_broken_content(t, s->wire.past_dot ? STAGE_DOT : STAGE_DATA, errno);
    return;
  }
  if (session_reply(s, s->open.timeouts.dot, &t->end.ms_dot) == -1) {
    break_off(t, STAGE_DOT, errno);
    return;
  }
  s->needs_rset = false;
  decide_by_reply(t, STAGE_DOT);
  s->usable = s->reply.code != 421;
}

static void dialogue(struct transaction *t, struct batch *b)
{
  bool sent[WORK_RCPTS_MAX];

  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    sent[i] = !t->decided[i];
  }
  if (do_mail(t, b) && do_rcpts(t, b, sent) && do_data(t, b)) {
    do_content(t);
  }
  t->s->used = true;
}

/* Everything that can be known without the MX; then the dialogue, if somebody is left. */
static void attempt(struct transaction *t)
{
  struct outcome model;

  if (content_load(t) == -1 || check_utf8(t) == -1) {
    judge_local(&model, STAGE_NONE, "4.3.0", "unable to read the message: %s", strerror(errno));
    transaction_decide_rest(t, &model);
    return;
  }
  check_size(t);
  if (all_decided(t)) {
    return;
  }
  if (make_batch(t, &the_batch) == -1) {
    judge_local(&model, STAGE_NONE, "4.3.0", "unable to make the commands: %s", strerror(errno));
    transaction_decide_rest(t, &model);
    return;
  }
  dialogue(t, &the_batch);
}

/* True: everything was delivered, and the connection goes on. */
static bool log_delivery(const struct transaction *t, int64_t now)
{
  const struct session *s = t->s;
  uint32_t counts[3] = {0};

  for (uint32_t i = 0; i < t->job->rcpt_count && !t->end.stale; i++) {
    enum verdict v = t->outcomes[i].verdict;
    counts[v == VERDICT_DELIVERED ? 0 : v == VERDICT_DEFERRED ? 1 : 2]++;
  }
  loglines_printf(&t->s->log, '=',
                  "deliver id=%s host=%s rcpts=%u delivered=%u deferred=%u failed=%u bytes=%llu "
                  "ms=%lld mail=%lld rcpt=%lld dot=%lld tls=%s%s%s",
                  t->job->id, s->host, t->job->rcpt_count, counts[0], counts[1], counts[2],
                  (unsigned long long)t->end.bytes, (long long)(now - t->started),
                  (long long)t->end.ms_mail, (long long)t->end.ms_rcpt, (long long)t->end.ms_dot,
                  s->wire.tls ? s->client->facts : "none",
                  t->end.bytes > 0 && t->has_8bit && !s->offer.eightbitmime ? " 8bit=unchanged" : "",
                  t->end.stale ? " stale" : "");
  return counts[0] == t->job->rcpt_count && t->end.keep;
}

void session_transaction(struct session *s)
{
  struct transaction *t = &the_transaction;
  struct outcome model;
  int64_t now;

  t->s = s;
  t->job = &s->wire.job;
  t->head.max = ENVELOPE_MAX + CONTENT_CHUNK + 64;
  t->accepted_count = 0;
  t->mail_accepted = false;
  t->started = clock_monotonic_ms();
  s->lines_since = s->log.len > 0 ? s->lines_since : t->started;
  memset(t->decided, 0, sizeof(t->decided));
  memset(t->accepted, 0, sizeof(t->accepted));
  t->end = (struct work_end){.token = t->job->token, .ms_mail = -1, .ms_rcpt = -1, .ms_dot = -1};
  memcpy(t->host, s->host, sizeof(t->host));
  if (s->wire.cancelled) {
    judge_trouble(&model, STAGE_MAIL, JUDGE_CANCELLED);
    transaction_decide_rest(t, &model);
  } else {
    attempt(t);
  }
  t->end.dsn = s->offer.dsn;
  /* Bytes that answer nothing would be taken for the next transaction's replies. */
  s->usable = s->usable && !t->end.stale && !wire_unsolicited(&s->wire);
  t->end.keep = s->usable;
  now = clock_monotonic_ms();
  if (!log_delivery(t, now) || now - s->lines_since >= WIRE_LOG_DELAY_MS) {
    loglines_flush(&s->log); /* before relay-send's own line about a trouble */
  }
  if (!s->wire.gone && transaction_tell(t) == -1) {
    s->usable = false;
  }
  close(s->wire.job_fd);
  s->wire.job_fd = -1;
  s->wire.have_job = s->wire.cancelled = s->wire.past_dot = false;
}
