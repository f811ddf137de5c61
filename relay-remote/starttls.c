/* From EHLO to TLS, or to the reason why not. */
#include "starttls.h"

#include "clock.h"
#include "tls_client.h"
#include "tlspolicy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HANDSHAKE_SECONDS_MAX 60 /* a full one takes two round trips and some milliseconds */

static struct tls_client client; /* one connection at a time; too big for the stack */

static bool is_wanted(const struct session *s)
{
  return !s->wire.gone && !s->wire.cancelled;
}

static void log_clear(struct session *s, const struct work_tls *demand, const char *reason)
{
  loglines_printf(&s->log, '=', "tls host=%s tls=none policy=%s reason=\"%s\"", s->host,
                  tlspolicy_kind_name(demand->kind), reason);
}

/* No TLS with this host: clear text where it is allowed, else the end of the try. */
static enum starttls without(struct session *s, const struct work_tls *demand, const char *status,
                             const char *reason, enum starttls allowed, struct outcome *o)
{
  log_clear(s, demand, reason);
  if (demand->kind == TLS_MAY) {
    return allowed;
  }
  judge_local(o, STAGE_TLS, status, "control/tlspolicy demands TLS (%s): %s",
              tlspolicy_kind_name(demand->kind), reason);
  return STARTTLS_FAILED;
}

/* The connection is of no use any more. */
static enum starttls broken(struct session *s, const struct work_tls *demand, const char *reason,
                            struct outcome *o)
{
  wire_close(&s->wire);
  if (!is_wanted(s)) {
    judge_trouble(o, STAGE_HELO, JUDGE_CANCELLED); /* not TLS' fault */
    return STARTTLS_FAILED;
  }
  snprintf(s->tls_result.broken, sizeof(s->tls_result.broken), "%s", reason);
  snprintf(s->tls_result.facts, sizeof(s->tls_result.facts), "none");
  s->client = NULL;
  return without(s, demand, "4.7.5", reason, STARTTLS_BROKEN, o);
}

/* STARTTLS and its reply. */
static enum starttls ask(struct session *s, const struct work_tls *demand, struct outcome *o)
{
  char reason[WORK_TLS_REASON_SIZE];

  if (session_send(s, "STARTTLS\r\n", 10, s->open.timeouts.helo) == -1 ||
      session_reply(s, s->open.timeouts.helo, NULL) == -1) {
    judge_trouble(o, STAGE_TLS, errno);
    snprintf(reason, sizeof(reason), "%.200s", o->reply);
    return broken(s, demand, reason, o);
  }
  if (s->reply.code == 421) {
    return broken(s, demand, "it answers 421 to STARTTLS", o);
  }
  if (s->reply.code != 220) {
    snprintf(reason, sizeof(reason), "it offers STARTTLS and refuses it: %.*s",
             (int)(s->reply.text_len < 150 ? s->reply.text_len : 150), s->reply.text);
    return without(s, demand, "4.7.4", reason, STARTTLS_DONE, o);
  }
  if (wire_unsolicited(&s->wire)) {
    /* CVE-2011-0411 from the other side: these bytes would be taken for what TLS protects. */
    return broken(s, demand, "bytes in clear text came behind its answer to STARTTLS", o);
  }
  return STARTTLS_DONE;
}

static enum starttls shake_hands(struct session *s, const struct work_tls *demand,
                                 struct outcome *o)
{
  uint32_t seconds = s->open.timeouts.helo;
  int64_t deadline;

  seconds = seconds < HANDSHAKE_SECONDS_MAX ? seconds : HANDSHAKE_SECONDS_MAX;
  deadline = clock_monotonic_ms() + (int64_t)seconds * 1000;
  if (tls_client_open(&client, s->wire.mx, demand) == -1) {
    return broken(s, demand, client.reason, o);
  }
  s->client = &client;
  wire_start_tls(&s->wire, &client.pump);
  if (tls_client_handshake(&client, deadline) == -1) {
    return broken(s, demand, client.reason, o);
  }
  snprintf(s->tls_result.facts, sizeof(s->tls_result.facts), "%s resumed=%d verify=%s",
           client.facts, client.resumed, tls_verified_name(client.check.verified));
  loglines_printf(&s->log, '=', "tls host=%s tls=%s policy=%s", s->host, s->tls_result.facts,
                  tlspolicy_kind_name(demand->kind));
  return STARTTLS_DONE;
}

static void clear_result(struct session *s)
{
  memset(&s->tls_result, 0, sizeof(s->tls_result));
  snprintf(s->tls_result.facts, sizeof(s->tls_result.facts), "none");
  s->client = NULL;
}

enum starttls session_starttls(struct session *s, const struct work_tls *demand, struct outcome *o)
{
  enum starttls result;

  clear_result(s);
  if (demand->kind == TLS_NONE) {
    return STARTTLS_DONE;
  }
  if (!s->offer.starttls) {
    return demand->kind == TLS_MAY
             ? STARTTLS_DONE
             : without(s, demand, "4.7.4", "it does not offer STARTTLS", STARTTLS_DONE, o);
  }
  if (demand->kind == TLS_MAY && *demand->reason) {
    log_clear(s, demand, demand->reason); /* as the last try has found */
    return STARTTLS_DONE;
  }
  result = ask(s, demand, o);
  if (result != STARTTLS_DONE || s->reply.code != 220) {
    return result;
  }
  result = shake_hands(s, demand, o);
  if (result != STARTTLS_DONE) {
    return result;
  }
  /* RFC 3207 4.2: what was said before is forgotten. */
  if (session_hello(s, o) == -1) {
    return o->code != 0 ? STARTTLS_FAILED
                        : broken(s, demand, "the connection broke after the handshake", o);
  }
  s->tls_result.session_len = tls_client_session(&client, s->tls_result.session);
  return STARTTLS_DONE;
}

void starttls_barred(struct session *s, const struct work_tls *demand, struct outcome *o)
{
  clear_result(s);
  log_clear(s, demand, demand->reason);
  judge_local(o, STAGE_TLS, "4.7.5", "%s", demand->reason);
}
