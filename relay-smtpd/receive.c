/* DATA: from the 354 to the one reply that says who has the message now. */
#include "dialogue.h"

#include "clock.h"
#include "data.h"
#include "submit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_MAX 100 /* RFC 5321 6.3 */
/* Passages through this host. A redirect that catches our own deliveries, or two hosts that mean
 * each other, must not go round a hundred times. */
#define OWN_HOPS_MAX 10
/*
 * A client has one timeout for DATA, and a second more for every such number
 * of bytes that we keep: bytes of a message that is refused already buy none.
 */
#define BYTES_PER_SECOND_MIN 1000
/* Over that a message's pages of the input buffer are given back. */
#define TRIM_BYTES 16384

struct message {
  struct dialogue *session;
  struct submit submit;
  struct data data;
  unsigned own_hops; /* Received fields that this host wrote */
};

static void take_content(void *arg, const char *bytes, size_t len)
{
  struct message *m = arg;

  submit_content(&m->submit, bytes, len);
}

static void take_header(void *arg, const char *field, size_t len)
{
  struct message *m = arg;

  m->own_hops += received_is_by(field, len, m->session->rules->me);
  loglines_put(&m->session->log, '<', field, len);
}

static void begin(struct message *m)
{
  struct dialogue *s = m->session;
  const struct rules *t = s->rules;
  struct envelope *e = &s->envelope;
  struct received r = {.helo = s->helo,
                       .client = &t->client,
                       .client_host = t->client_host,
                       .me = t->me,
                       .id = e->id,
                       .only_rcpt = e->rcpt_count == 1 ? s->first_rcpt : NULL,
                       .esmtp = s->esmtp,
                       .tls = s->tls ? s->tls->clause : NULL,
                       .auth = *s->auth,
                       .smtputf8 = e->flags & ENVELOPE_SMTPUTF8};

  id_mint(e->id);
  e->arrival = r.when = clock_wall_ms();
  e->priority = t->priority;
  e->through = t->through;
  strcpy(e->tenant, t->tenant);
  strcpy(e->source, t->source);
  strcpy(e->destination, t->destination);
  strcpy(e->client, t->client_text);
  strcpy(e->helo, s->helo);
  strcpy(e->auth, s->auth);
  submit_begin(&m->submit, &s->hatch, &s->message, e, &r, s->declared);
  m->submit.through_bytes = t->through ? t->through_bytes : 0;
  data_begin(&m->data);
  m->data.normalize = t->normalize;
  m->data.max = t->databytes;
  m->data.content = take_content;
  m->data.header = take_header;
  m->data.arg = m;
}

/* All of DATA. False: the session ended in the middle of it. */
static bool read_data(struct message *m)
{
  struct dialogue *s = m->session;
  struct input *in = &s->in;
  int64_t timeout = s->rules->timeout_ms, limit = clock_monotonic_ms() + timeout, deadline;
  uint64_t kept = 0;

  for (;;) {
    size_t used = data_feed(&m->data, in->bytes + in->start, in->end - in->start);
    in->start += used;
    if (data_ended(&m->data)) {
      return true;
    }
    if (!data_refused(&m->data) && !m->submit.failed) {
      kept += used;
    }
    deadline = limit + (int64_t)(kept / BYTES_PER_SECOND_MIN * 1000);
    int64_t wait = clock_monotonic_ms() + timeout;
    if (!dialogue_wait(s, INPUT_SIZE, wait < deadline ? wait : deadline)) {
      return false;
    }
  }
}

/* What the content is refused for, into reply; false if it is not. */
static bool refuse_content(const struct message *m, char *reply, size_t size)
{
  static const char *const what[] = {
    [DATA_BARE_LF] = "a bare LF", [DATA_BARE_CR] = "a bare CR", [DATA_NUL] = "a NUL byte"};
  const struct data *d = &m->data;

  if (d->defect != DATA_SOUND) { /* RFC 5321 2.3.8 */
    snprintf(reply, size, "550 5.6.0 %s in line %llu of the message: lines must end in CRLF",
             what[d->defect], (unsigned long long)d->defect_line);
    return true;
  }
  if (d->too_big) {
    snprintf(reply, size, "552 5.3.4 message too big: at most %llu bytes",
             (unsigned long long)m->session->rules->databytes);
    return true;
  }
  if (d->hops > HOPS_MAX) {
    snprintf(reply, size, "554 5.4.6 mail loop: over %d Received lines", HOPS_MAX);
    return true;
  }
  if (m->own_hops > OWN_HOPS_MAX) {
    snprintf(reply, size, "554 5.4.6 mail loop: it has been here %u times", m->own_hops);
    return true;
  }
  return false;
}

static void conclude(struct message *m, const char *reply)
{
  struct dialogue *s = m->session;
  const struct envelope *e = &s->envelope;
  bool good = reply[0] == '2';

  loglines_printf(&s->log, '=', "%s id=%s tenant=%s bytes=%llu rcpts=%u code=%.3s%s%s%s%s",
                  good ? "accept" : "refuse", e->id, e->tenant, (unsigned long long)m->data.size,
                  e->rcpt_count, reply, s->tls ? " tls=" : "", s->tls ? s->tls->facts : "",
                  *s->auth ? " auth=" : "", s->auth);
  reply_line(&s->out, reply);
  s->accepted += good;
  s->refused += !good;
  s->idle_commands = s->rcpts = 0;
}

void receive_message(struct dialogue *s)
{
  struct message m = {.session = s};
  char reply[SUBMIT_REPLY_SIZE];

  begin(&m);
  reply_line(&s->out, "354 go ahead, end with a dot on a line by itself");
  if (!read_data(&m)) {
    goto cleanup;
  }
  if (refuse_content(&m, reply, sizeof reply)) {
    conclude(&m, reply);
  } else {
    reply_flush(&s->out); /* what a client that ran ahead has not been told yet */
    loglines_flush(&s->log);
    if (submit_finish(&m.submit, s->out.fd)) {
      conclude(&m, m.submit.reply);
    } else {
      s->end = "gone-before-verdict";
    }
  }
  dialogue_reset(s);

cleanup:
  if (m.data.size > TRIM_BYTES) {
    input_trim(&s->in);
  }
  submit_end(&m.submit);
  data_free(&m.data);
}
