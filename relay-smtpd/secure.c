/*
 * TLS in the dialogue: STARTTLS, or from the first byte.
 *
 * What the client sent in clear behind STARTTLS was perhaps put there by
 * somebody else (CVE-2011-0411): it is never looked at, and the session ends.
 * After the handshake nothing is known of what was said before it.
 */
#include "dialogue.h"

#include "clock.h"

#include <string.h>

static struct tls tls; /* not touched, so no memory, without TLS */

static bool handshake(struct dialogue *s)
{
  int64_t limit = s->rules->timeout_ms < TLS_HANDSHAKE_MS ? s->rules->timeout_ms : TLS_HANDSHAKE_MS;
  const char *name;

  tls.pump.self_timed = s->in.soon;
  loglines_flush(&s->log);
  if (tls_accept(&tls, clock_monotonic_ms() + limit) < 0) {
    loglines_printf(&s->log, '=', "tls-failed reason=\"%s\"", tls.problem);
    s->out.broken = true; /* nothing that we could say in clear would be believed */
    s->end = "tls";
    return false;
  }
  s->tls = &tls;
  s->in.tls = s->out.tls = &tls.pump;
  name = br_ssl_engine_get_server_name(&tls.server.eng);
  if (!address_domain_valid(name, strlen(name), false)) {
    name = *name ? "?" : ""; /* any bytes: they could look like facts of ours */
  }
  loglines_printf(&s->log, '=', "secure tls=%s resumed=%d%s%s", tls.facts, tls.resumed,
                  *name ? " sni=" : "", name);
  return true;
}

/* RFC 3207 4.2 */
static void forget(struct dialogue *s)
{
  dialogue_reset(s);
  auth_forget(s);
  s->greeted = s->esmtp = false;
  *s->helo = '\0';
}

void secure_command(struct dialogue *s, const struct command *c)
{
  if (s->rules->tls == RULES_TLS_NONE) {
    dialogue_complain(s, "502 5.5.1 STARTTLS is not offered here");
  } else if (s->tls) {
    dialogue_complain(s, "503 5.5.1 TLS is in use already");
  } else if (c->argument_len > 0) {
    dialogue_complain(s, "501 5.5.4 STARTTLS takes no argument");
  } else if (s->in.start != s->in.end) {
    loglines_printf(&s->log, '=', "bad-line reason=pipelined-starttls");
    reply_line(&s->out, "554 5.5.1 nothing may follow STARTTLS before its reply");
    s->end = "pipelined-starttls";
  } else if (tls_prepare(&tls, s->in.fd, s->out.fd) < 0) {
    loglines_printf(&s->log, '=', "tls-failed reason=\"%s\"", tls.problem);
    reply_line(&s->out, "454 4.7.0 TLS is not available now, try again later");
  } else {
    reply_line(&s->out, "220 2.0.0 go ahead");
    reply_flush(&s->out);
    if (handshake(s)) {
      forget(s);
    }
  }
}

bool secure_at_once(struct dialogue *s)
{
  if (tls_prepare(&tls, s->in.fd, s->out.fd) == 0) {
    return handshake(s);
  }
  loglines_printf(&s->log, '=', "tls-failed reason=\"%s\"", tls.problem);
  s->out.broken = true;
  s->end = "tls";
  return false;
}

void secure_end(struct dialogue *s)
{
  if (s->tls) {
    tls_end(s->tls);
    s->tls = NULL;
    s->in.tls = s->out.tls = NULL;
  }
}
