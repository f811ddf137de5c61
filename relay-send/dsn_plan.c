/* Whom a DSN goes to and which recipients it is about (RFC 3461 4.1, 6). */
#include "dsn.h"

#include "scan.h"

#include <stdlib.h>
#include <string.h>

static bool wants(const struct envelope_rcpt *rcpt, char kind)
{
  if (rcpt->notify & ENVELOPE_NOTIFY_NEVER) {
    return false;
  }
  switch (kind) {
  case 'f':
    return rcpt->notify == 0 || (rcpt->notify & ENVELOPE_NOTIFY_FAILURE);
  case 'd':
    return rcpt->notify == 0 || (rcpt->notify & ENVELOPE_NOTIFY_DELAY);
  default:
    return rcpt->notify & ENVELOPE_NOTIFY_SUCCESS;
  }
}

/* false: nobody is to be told, and *why says so. */
static bool find_receiver(struct dsn *d, const char **why)
{
  const struct envelope *e = &d->original;
  const char *to = e->sender;

  if (e->flags & ENVELOPE_DOUBLE) {
    *why = "it was a notification to control/doublebounceto";
    return false;
  }
  if (!*to) {
    if (d->job->head.kind != 'f') {
      *why = "the sender is <>";
      return false;
    }
    if (!*d->config->double_to) {
      *why = "the sender is <> and there is no control/doublebounceto";
      return false;
    }
    to = d->config->double_to;
    d->bounced_double = true;
  }
  memcpy(d->to, to, strlen(to) + 1);
  return true;
}

static bool not_ascii(const char *s)
{
  return !scan_ascii_only(s, strlen(s));
}

static bool has_utf8_address(const struct dsn *d)
{
  for (size_t i = 0; i < d->due_count; i++) {
    const struct envelope_rcpt *rcpt = &d->original.rcpts[d->due[i]->outcome.rcpt];
    if (not_ascii(rcpt->address) || not_ascii(rcpt->orcpt)) {
      return true;
    }
  }
  return not_ascii(d->original.sender);
}

int dsn_plan(struct dsn *d, const char **why)
{
  const struct dsn_job *job = d->job;

  if (!find_receiver(d, why)) {
    return 2;
  }
  d->due_count = 0;
  for (uint32_t i = 0; i < job->head.rcpt_count; i++) {
    const struct outcome *o = &job->rcpts[i].outcome;
    if (o->rcpt >= d->original.rcpt_count) {
      *why = "a recipient is not in the envelope";
      return 0;
    }
    if (o->verdict != VERDICT_DROPPED && wants(&d->original.rcpts[o->rcpt], job->head.kind)) {
      d->due[d->due_count++] = &job->rcpts[i];
    }
  }
  if (d->due_count == 0) {
    *why = "no recipient's NOTIFY asks for it";
    return 2;
  }
  /* Without the flag every address is ASCII: envelope_decode() saw to it. */
  d->global = (d->original.flags & ENVELOPE_SMTPUTF8) && has_utf8_address(d);
  return 1;
}
