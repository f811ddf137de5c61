/*
 * The part of a DSN that programs read: message/delivery-status (RFC 3464 2),
 * or message/global-delivery-status (RFC 6533 4).
 */
#include "dsn.h"
#include "dsn_field.h"

#include "clock.h"
#include "scan.h"

#include <stdio.h>
#include <string.h>

static int put_field(struct dsn *d, const char *name, const char *text)
{
  return dsn_put_field(&d->out, name, text, d->global);
}

static int put_date(struct dsn *d, const char *name, int64_t wall_ms)
{
  char date[CLOCK_RFC5322_SIZE];

  clock_format_rfc5322(wall_ms, date);
  return put_field(d, name, date);
}

static int put_envelope_id(struct dsn *d)
{
  struct buf text = BUF_INIT(ENVELOPE_ENVID_SIZE);
  int result = 0;

  if (d->original.envid[0]) {
    result = dsn_decode_xtext(&text, d->original.envid, strlen(d->original.envid));
    /* A decoded NUL must not end the text: it is a control byte like others. */
    for (size_t i = 0; i < text.len; i++) {
      text.data[i] = text.data[i] ? text.data[i] : '?';
    }
    result = result < 0 ? -1 : put_field(d, "Original-Envelope-Id", buf_cstr(&text));
  }
  buf_free(&text);
  return result;
}

static int put_message_fields(struct dsn *d)
{
  char me[ADDRESS_DOMAIN_MAX + 8];

  snprintf(me, sizeof me, "dns; %s", d->config->me);
  if (put_envelope_id(d) < 0 || put_field(d, "Reporting-MTA", me) < 0) {
    return -1;
  }
  return put_date(d, "Arrival-Date", d->original.arrival);
}

static int put_recipient_names(struct dsn *d, const struct envelope_rcpt *rcpt)
{
  char final[ADDRESS_SIZE + 16];
  struct buf original = BUF_INIT(2 * ENVELOPE_ORCPT_SIZE + 8);
  int result = 0;

  if (rcpt->orcpt[0]) {
    result = dsn_decode_orcpt(&original, rcpt->orcpt, d->global);
    for (size_t i = 0; i < original.len; i++) {
      original.data[i] = original.data[i] ? original.data[i] : '?';
    }
    result = result < 0 ? -1 : put_field(d, "Original-Recipient", buf_cstr(&original));
  }
  buf_free(&original);
  bool ascii = scan_ascii_only(rcpt->address, strlen(rcpt->address));
  snprintf(final, sizeof final, "%s; %s", ascii ? "rfc822" : "utf-8", rcpt->address);
  return result < 0 ? -1 : put_field(d, "Final-Recipient", final);
}

/* The status must be of the class that the action says (RFC 3464 2.3.3, 2.3.4). */
static const char *status(const struct outcome *o, char kind)
{
  size_t len = strlen(o->status);

  switch (kind) {
  case 's':
    return status_scan(o->status, len, 200) == len ? o->status : "2.0.0";
  case 'd':
    return status_scan(o->status, len, 400) == len ? o->status : "4.0.0";
  default: /* 4.4.7, expired, is a failure too */
    return status_scan(o->status, len, 500) == len || status_scan(o->status, len, 400) == len
             ? o->status
             : "5.0.0";
  }
}

/* "mx.example.com[192.0.2.1]": the name is the MTA, the address a comment (RFC 3464 2.3.5). */
static int put_remote_mta(struct dsn *d, const char *host)
{
  char text[OUTCOME_HOST_SIZE + 16];
  size_t name = strcspn(host, "[");

  if (!host[0]) {
    return 0;
  }
  if (name == 0) {
    snprintf(text, sizeof text, "dns; %s", host);
  } else if (!host[name]) {
    snprintf(text, sizeof text, "dns; %s", host);
  } else {
    snprintf(text, sizeof text, "dns; %.*s (%s)", (int)name, host, host + name);
  }
  return put_field(d, "Remote-MTA", text);
}

static int put_diagnostic(struct dsn *d, const struct outcome *o)
{
  char text[OUTCOME_REPLY_SIZE + 16];

  if (!o->reply[0]) {
    return 0;
  }
  /* Only a reply is "smtp" (RFC 3464 2.3.6); our own words are of a type of our own. */
  snprintf(text, sizeof text, "%s; %s", o->code ? "smtp" : "x-relay", o->reply);
  return put_field(d, "Diagnostic-Code", text);
}

static int put_recipient(struct dsn *d, const struct bounce_rcpt *due)
{
  const struct outcome *o = &due->outcome;
  char kind = d->job->head.kind;
  const char *action = kind == 'f' ? "failed" : kind == 'd' ? "delayed" : "relayed";

  if (buf_append_str(&d->out, "\r\n") < 0 ||
      put_recipient_names(d, &d->original.rcpts[o->rcpt]) < 0 ||
      put_field(d, "Action", action) < 0 || put_field(d, "Status", status(o, kind)) < 0 ||
      put_remote_mta(d, o->host) < 0 || put_diagnostic(d, o) < 0) {
    return -1;
  }
  if (due->when > 0 && put_date(d, "Last-Attempt-Date", due->when) < 0) {
    return -1;
  }
  int64_t until = d->original.arrival + (int64_t)d->config->lifetime * 1000;
  return kind == 'd' ? put_date(d, "Will-Retry-Until", until) : 0;
}

int dsn_put_status(struct dsn *d)
{
  if (put_message_fields(d) < 0) {
    return -1;
  }
  for (size_t i = 0; i < d->due_count; i++) {
    if (put_recipient(d, d->due[i]) < 0) {
      return -1;
    }
  }
  return 0;
}
