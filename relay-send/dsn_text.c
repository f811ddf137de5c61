/*
 * The part of a DSN that people read: what happened, to whom, what to do, and
 * the transcript of the session, in the manner of sendmail and MailEngine.
 */
#include "dsn.h"
#include "dsn_field.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

/* Recipients told about in full; the others are in the machine-readable part. */
#define TEXT_RCPTS_MAX 50

static const char *rcpt_address(const struct dsn *d, size_t i)
{
  return d->original.rcpts[d->due[i]->outcome.rcpt].address;
}

static size_t shown(const struct dsn *d)
{
  return d->due_count < TEXT_RCPTS_MAX ? d->due_count : TEXT_RCPTS_MAX;
}

static int put_wrapped(struct dsn *d, const char *first, const char *next, const char *text)
{
  return dsn_put_folded(&d->out, first, next, text, strlen(text), d->global);
}

static int put_introduction(struct dsn *d)
{
  char text[1024], arrival[CLOCK_RFC5322_SIZE];
  const char *many = d->due_count == 1 ? "the recipient" : "the recipients";

  clock_format_rfc5322(d->original.arrival, arrival);
  snprintf(text, sizeof text,
           "This is the mail relay at %s. Your message of %s (id %s) %s %s "
           "named below%s.",
           d->config->me, arrival, d->original.id,
           d->job->head.kind == 'f'   ? "could not be delivered to"
           : d->job->head.kind == 'd' ? "has not been delivered yet to"
                                      : "was passed on to the mail server of",
           many, d->job->head.kind == 's' ? ", which does not send confirmations" : "");
  return put_wrapped(d, "", "", text);
}

static int put_advice(struct dsn *d)
{
  char text[512], until[CLOCK_RFC5322_SIZE];

  clock_format_rfc5322(d->original.arrival + (int64_t)d->config->lifetime * 1000, until);
  if (d->bounced_double) {
    snprintf(text, sizeof text,
             "It has no sender to be returned to, so this notice goes to "
             "the postmaster of the relay. Nothing more will be done about it.");
  } else if (d->job->head.kind == 'f') {
    snprintf(text, sizeof text,
             "The relay has given up; no further attempt will be made. Please "
             "check the address and the reason given, put right what is wrong, and send the "
             "message again.");
  } else if (d->job->head.kind == 'd') {
    snprintf(text, sizeof text,
             "You need not do anything: the relay keeps trying until about "
             "%s, and tells you if it has to give up.",
             until);
  } else {
    snprintf(text, sizeof text,
             "This is the confirmation that you asked for. Whether the "
             "message was delivered beyond that server will not be told.");
  }
  return put_wrapped(d, "", "", text);
}

static int put_custom(struct dsn *d)
{
  if (d->config->text.count == 0) {
    return 0;
  }
  for (size_t i = 0; i < d->config->text.count; i++) {
    /* The operator's own words: not folded, so that a table or a signature stays. */
    if (buf_append_str(&d->out, d->config->text.lines[i]) < 0 ||
        buf_append_str(&d->out, "\r\n") < 0) {
      return -1;
    }
  }
  return buf_append_str(&d->out, "\r\n");
}

/* What is to be said of a recipient: the reply, or our own words, or the bare status. */
static const char *reason(const struct outcome *o)
{
  return o->reply[0] ? o->reply : o->status;
}

static int put_addresses(struct dsn *d)
{
  char line[ADDRESS_SIZE + 4];

  if (buf_printf(&d->out, "   ----- The following addresses %s -----\r\n",
                 d->job->head.kind == 'f'   ? "had permanent errors"
                 : d->job->head.kind == 'd' ? "had temporary errors"
                                            : "were relayed") < 0) {
    return -1;
  }
  for (size_t i = 0; i < shown(d); i++) {
    snprintf(line, sizeof line, "<%s>", rcpt_address(d, i));
    if (put_wrapped(d, "", "", line) < 0 ||
        put_wrapped(d, "    (reason: ", "     ", reason(&d->due[i]->outcome)) < 0) {
      return -1;
    }
    d->out.len -= 2; /* the parenthesis belongs before the line's end */
    if (buf_append_str(&d->out, ")\r\n") < 0) {
      return -1;
    }
  }
  if (shown(d) < d->due_count &&
      buf_printf(&d->out, "... and %zu more; all are in the attached delivery report.\r\n",
                 d->due_count - shown(d)) < 0) {
    return -1;
  }
  return buf_append_str(&d->out, "\r\n");
}

/* What we had said before this reply came. "" where we speak second. */
static void what_we_said(const struct dsn *d, size_t i, char *out, size_t size)
{
  out[0] = '\0';
  switch (d->due[i]->outcome.stage) {
  case STAGE_HELO:
    snprintf(out, size, "EHLO");
    break;
  case STAGE_TLS:
    snprintf(out, size, "STARTTLS");
    break;
  case STAGE_MAIL:
    snprintf(out, size, "MAIL FROM:<%s>", d->original.sender);
    break;
  case STAGE_RCPT:
    snprintf(out, size, "RCPT TO:<%s>", rcpt_address(d, i));
    break;
  case STAGE_DATA:
    snprintf(out, size, "DATA");
    break;
  case STAGE_DOT:
    snprintf(out, size, "DATA, the message, and its final dot");
    break;
  case STAGE_NONE:
  case STAGE_CONNECT:
  case STAGE_BANNER:
    break;
  }
}

static bool same_exchange(const struct outcome *a, const struct outcome *b)
{
  return a->stage == b->stage && a->stage != STAGE_RCPT && a->code == b->code &&
         strcmp(a->host, b->host) == 0 && strcmp(a->reply, b->reply) == 0;
}

static int put_exchange(struct dsn *d, size_t i)
{
  const struct outcome *o = &d->due[i]->outcome;
  const struct outcome *before = i > 0 ? &d->due[i - 1]->outcome : NULL;
  char said[ADDRESS_SIZE + 32];

  if (before && same_exchange(before, o)) {
    return 0; /* one answer for many recipients is told once */
  }
  if (o->host[0] && (!before || strcmp(before->host, o->host) != 0)) {
    if (put_wrapped(d, "... while talking to ", "    ", o->host) < 0) {
      return -1;
    }
    d->out.len -= 2;
    if (buf_append_str(&d->out, ":\r\n") < 0) {
      return -1;
    }
  }
  what_we_said(d, i, said, sizeof said);
  if (said[0] && put_wrapped(d, ">>> ", "    ", said) < 0) {
    return -1;
  }
  /* Without a code nobody has said it: these are the relay's words. */
  return put_wrapped(d, o->code ? "<<< " : "*** ", "    ", reason(o));
}

static int put_transcript(struct dsn *d)
{
  if (buf_append_str(&d->out, "   ----- Transcript of the session follows -----\r\n") < 0) {
    return -1;
  }
  for (size_t i = 0; i < shown(d); i++) {
    if (put_exchange(d, i) < 0) {
      return -1;
    }
  }
  return 0;
}

int dsn_put_text(struct dsn *d)
{
  if (put_introduction(d) < 0 || buf_append_str(&d->out, "\r\n") < 0 || put_advice(d) < 0 ||
      buf_append_str(&d->out, "\r\n") < 0 || put_custom(d) < 0 || put_addresses(d) < 0) {
    return -1;
  }
  return put_transcript(d);
}
