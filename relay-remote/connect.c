/* From addresses to a session: connect, banner, EHLO. */
#include "session.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUIT_SECONDS_MAX 5 /* nobody waits for a 221; a site's window does for the worker */

static int64_t deadline_in(uint32_t seconds)
{
  return clock_monotonic_ms() + (int64_t)seconds * 1000;
}

int session_reply(struct session *s, uint32_t seconds, int64_t *ms)
{
  int64_t start = clock_monotonic_ms();
  int result = wire_reply(&s->wire, &s->reply, start + (int64_t)seconds * 1000, NULL, NULL);

  if (ms) {
    *ms = clock_monotonic_ms() - start;
  }
  return result;
}

int session_send(struct session *s, const char *lines, size_t len, uint32_t seconds)
{
  const char *p = lines, *end = lines + len, *line_end;

  for (; p < end; p = line_end + 2) {
    line_end = memchr(p, '\r', (size_t)(end - p));
    if (!line_end) {
      break;
    }
    loglines_put(&s->log, '>', p, (size_t)(line_end - p));
  }
  return wire_write(&s->wire, lines, len, deadline_in(seconds));
}

static void take_ehlo_line(void *arg, const struct mxreply *r)
{
  struct session *s = arg;
  const char *text;
  size_t len;

  if (r->lines > 1 && r->code == 250) {
    text = mxreply_line_text(r, &len);
    offer_take(&s->offer, text, len);
  }
}

/* EHLO or HELO and its reply. */
static int say_hello(struct session *s, const char *verb)
{
  char line[300];
  int n = snprintf(line, sizeof(line), "%s %s\r\n", verb, s->open.helo);

  s->offer = (struct smtp_offer){0};
  if (session_send(s, line, (size_t)n, s->open.timeouts.helo) == -1) {
    return -1;
  }
  return wire_reply(&s->wire, &s->reply, deadline_in(s->open.timeouts.helo), take_ehlo_line, s);
}

/* RFC 5321 3.2: a server that does not know EHLO is asked again with HELO. */
static int greet(struct session *s, struct outcome *o)
{
  enum stage stage = STAGE_BANNER;

  if (wire_reply(&s->wire, &s->reply, deadline_in(s->open.timeouts.banner), NULL, NULL) == -1) {
    goto trouble;
  }
  if (s->reply.code != 220) {
    judge_reply(o, stage, &s->reply, false);
    return -1;
  }
  stage = STAGE_HELO;
  errno = JUDGE_UNSOLICITED;
  if (wire_unsolicited(&s->wire) || say_hello(s, "EHLO") == -1) {
    goto trouble;
  }
  s->offer.esmtp = s->reply.code == 250;
  if (s->reply.code / 100 == 5 && s->reply.code != 521 && say_hello(s, "HELO") == -1) {
    goto trouble;
  }
  if (s->reply.code != 250) {
    judge_reply(o, stage, &s->reply, false);
    return -1;
  }
  errno = JUDGE_UNSOLICITED;
  if (!wire_unsolicited(&s->wire)) {
    return 0;
  }

trouble:
  judge_trouble(o, stage, errno);
  return -1;
}

static void name_host(struct session *s, const struct work_host *host)
{
  char port[16] = "";

  ip_format(&host->ip, s->ip_text);
  if (host->port != 25) {
    snprintf(port, sizeof(port), ":%d", host->port);
  }
  snprintf(s->host, sizeof(s->host), "%s[%s]%s", host->name, s->ip_text, port);
}

/* The connection alone. A source that this host cannot use is nobody's fault but ours. */
static int reach_host(struct session *s, const struct work_host *host, struct outcome *o)
{
  const struct ip *source = host->ip.family == AF_INET ? &s->open.source4 : &s->open.source6;
  char from[IP_TEXT_SIZE];
  int result, error;

  ip_format(source, from);
  result = wire_connect(&s->wire, source, &host->ip, host->port,
                        deadline_in(s->open.timeouts.connect));
  error = errno;
  loglines_printf(&s->log, '=', "connect host=%s ip=%s port=%d%s%s%s%s%s", host->name, s->ip_text,
                  host->port, *from ? " source=" : "", from, result == 0 ? "" : " failed: ",
                  result == WIRE_NO_SOURCE ? "source: " : "", result == 0 ? "" : strerror(error));
  if (result == WIRE_NO_SOURCE) {
    judge_local(o, STAGE_NONE, "4.3.5", "this host cannot use the source address %s: %s", from,
                strerror(error));
  } else if (result < 0) {
    judge_trouble(o, STAGE_CONNECT, error);
  }
  return result;
}

static int try_host(struct session *s, const struct work_host *host, struct outcome *o)
{
  name_host(s, host);
  snprintf(o->host, sizeof(o->host), "%s", s->host);
  if (reach_host(s, host, o) < 0) {
    return -1;
  }
  if (greet(s, o) == 0) {
    return 0;
  }
  if (o->code != 0 && o->code != 421) {
    session_quit(s);
  }
  wire_close(&s->wire);
  return -1;
}

/* How far the stages of connecting have gone, to tell of the best try. */
static int progress(const struct outcome *o)
{
  return o->stage == STAGE_HELO ? 3 : o->stage == STAGE_BANNER ? 2 : o->stage == STAGE_CONNECT;
}

/* One outcome for all addresses: the one that came furthest, then what the others said. */
static void sum_up(struct outcome *sum, const struct outcome *tries, uint32_t count)
{
  uint32_t best = 0;
  size_t len;

  for (uint32_t i = 0; i < count; i++) {
    if (progress(&tries[i]) > progress(&tries[best])) {
      best = i;
    }
  }
  *sum = tries[best];
  for (uint32_t i = 0; i < count; i++) {
    len = strlen(sum->reply);
    if (i != best) {
      snprintf(sum->reply + len, sizeof(sum->reply) - len, "; %s: %s", tries[i].host,
               tries[i].reply);
    }
  }
}

int session_connect(struct session *s, struct outcome *outcome)
{
  struct outcome tries[WORK_HOSTS_MAX] = {0};
  uint32_t i;

  for (i = 0; i < s->open.host_count; i++) {
    if (try_host(s, &s->open.hosts[i], &tries[i]) == 0) {
      s->connected = i;
      s->usable = true;
      return 0;
    }
    /* Cancelled: the other addresses are not asked any more. */
    if (s->wire.gone || s->wire.cancelled) {
      i++;
      break;
    }
  }
  if (i == 0) {
    judge_local(outcome, STAGE_NONE, "4.3.0", "no address to connect to");
    return -1;
  }
  sum_up(outcome, tries, i);
  return -1;
}

void session_extensions(const struct session *s, char *out, size_t size)
{
  const struct smtp_offer *o = &s->offer;
  char limit[32] = "";

  if (o->size) {
    snprintf(limit, sizeof(limit), " SIZE=%llu", (unsigned long long)o->size_max);
  }
  snprintf(out, size, "%s%s%s%s%s%s%s", o->esmtp ? "ESMTP" : "SMTP",
           o->pipelining ? " PIPELINING" : "", limit, o->eightbitmime ? " 8BITMIME" : "",
           o->smtputf8 ? " SMTPUTF8" : "", o->dsn ? " DSN" : "",
           o->enhancedstatuscodes ? " ENHANCEDSTATUSCODES" : "");
}

void session_quit(struct session *s)
{
  uint32_t seconds = s->open.timeouts.quit;

  seconds = seconds < QUIT_SECONDS_MAX ? seconds : QUIT_SECONDS_MAX;
  if (s->wire.mx != -1 && session_send(s, "QUIT\r\n", 6, seconds) == 0) {
    session_reply(s, seconds, NULL);
  }
  loglines_flush(&s->log);
}
