/*
 * The dialogue.
 *
 * A command line ends in CRLF. One that ends in a bare LF is refused and the
 * connection closed, whatever RELAYBARELF says: a peer that does not agree
 * with us on where lines end may not agree on where a message ended either, and
 * what follows could be text that somebody else put into a message ("DATA\n"
 * refused, and the content then taken for commands). Nobody but a person with
 * netcat sends such lines; the reply says how to make it send CRLF.
 */
#include "dialogue.h"

#include "clock.h"
#include "io.h"
#include "policy.h"
#include "received.h"
#include "scan.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

void dialogue_init(struct dialogue *s, const struct rules *rules)
{
  s->rules = s->first_rules = rules;
  s->began = clock_monotonic_ms();
  loglines_init(&s->log, 2, false);
  input_open(&s->in, 0);
  s->out.fd = 1;
  s->out.log = &s->log;
  s->out.timeout_ms = rules->timeout_ms;
  s->hatch = HATCH_INIT(rules->tenant, rules->client_text);
  s->message = BUF_INIT(SUBMIT_BUFFER_MAX);
  envelope_init(&s->envelope);
}

void dialogue_reset(struct dialogue *s)
{
  s->in_mail = false;
  envelope_reset(&s->envelope);
}

/* An error of the client's. */
void dialogue_complain(struct dialogue *s, const char *reply)
{
  reply_line(&s->out, reply);
  if (++s->errors >= DIALOGUE_ERRORS_MAX) {
    reply_printf(&s->out, "421 4.7.0 %s too many errors, closing connection", s->rules->me);
    s->end = "errors";
  }
}

static void do_helo(struct dialogue *s, const struct command *c)
{
  bool esmtp = c->verb == COMMAND_EHLO;
  const char *me = s->rules->me;

  /* RFC 2034 4: no enhanced status codes in replies to HELO and EHLO. */
  if (c->argument_len == 0 || c->argument_len >= ENVELOPE_HELO_SIZE) {
    dialogue_complain(s, "501 your name is needed: HELO name.example");
    return;
  }
  dialogue_reset(s); /* RFC 5321 4.1.4 */
  received_clean_helo(c->argument, c->argument_len, s->helo, sizeof s->helo);
  s->greeted = true;
  s->esmtp = esmtp;
  if (!esmtp) {
    reply_printf(&s->out, "250 %s", me);
    return;
  }
  reply_printf(&s->out, "250-%s", me);
  reply_line(&s->out, "250-PIPELINING");
  reply_printf(&s->out, "250-SIZE %llu", (unsigned long long)s->rules->databytes);
  reply_line(&s->out, "250-8BITMIME");
  if (!s->tls && s->rules->tls != RULES_TLS_NONE) {
    reply_line(&s->out, "250-STARTTLS");
  }
  auth_offer(s);
  reply_line(&s->out, "250-SMTPUTF8");
  reply_line(&s->out, "250-DSN");
  reply_line(&s->out, "250-ENHANCEDSTATUSCODES");
  reply_line(&s->out, "250 HELP");
}

static void do_mail(struct dialogue *s, const struct command *c)
{
  struct command_mail m;
  struct envelope *e = &s->envelope;
  const char *wrong;

  if (!s->greeted) {
    dialogue_complain(s, "503 5.5.1 say EHLO or HELO first");
    return;
  }
  if (!s->tls && s->rules->tls == RULES_TLS_REQUIRE) { /* RFC 3207 4 */
    dialogue_complain(s, "530 5.7.0 say STARTTLS first");
    return;
  }
  wrong = auth_mail_refused(s);
  if (wrong) {
    dialogue_complain(s, wrong);
    return;
  }
  if (s->in_mail) {
    dialogue_complain(s, "503 5.5.1 a transaction is open: finish it, or RSET");
    return;
  }
  wrong = command_parse_mail(c->argument, c->argument_len, s->rules->auth != RULES_AUTH_NONE, &m);
  if (wrong) {
    dialogue_complain(s, wrong);
    return;
  }
  if (m.size > s->rules->databytes) { /* RFC 1870 6.1 */
    reply_printf(&s->out, "552 5.3.4 messages may have at most %llu bytes",
                 (unsigned long long)s->rules->databytes);
    return;
  }
  wrong = policy_sender(s->rules, m.sender);
  if (wrong) {
    reply_line(&s->out, wrong);
    return;
  }
  envelope_reset(e);
  strcpy(e->sender, m.sender);
  strcpy(e->envid, m.envid);
  e->flags = m.flags;
  e->ret = m.ret;
  s->declared = m.size;
  s->in_mail = true;
  reply_line(&s->out, "250 2.1.0 sender ok");
}

static void do_rcpt(struct dialogue *s, const struct command *c)
{
  struct command_rcpt r;
  struct envelope *e = &s->envelope;
  char address[ADDRESS_SIZE];
  const char *wrong;

  if (!s->in_mail) {
    dialogue_complain(s, "503 5.5.1 MAIL comes first");
    return;
  }
  /* First, and alone: a thousand more of these must be cheap. RFC 5321 4.5.3.1.10. */
  if (e->rcpt_count >= ENVELOPE_RCPTS_MAX) {
    reply_line(&s->out, "452 4.5.3 too many recipients, send the rest in another transaction");
    return;
  }
  /* The MX's own answer can only be one (doc/INTERNALS.md, through). */
  if ((s->rules->through & ENVELOPE_THROUGH_ONLY) && e->rcpt_count > 0) {
    reply_line(&s->out, "452 4.5.3 one recipient a transaction here, send the rest in another");
    return;
  }
  wrong = command_parse_rcpt(c->argument, c->argument_len, e->flags & ENVELOPE_SMTPUTF8, &r);
  if (wrong) {
    dialogue_complain(s, wrong);
    return;
  }
  wrong = policy_recipient(s->rules, r.address, address);
  if (wrong) {
    reply_line(&s->out, wrong);
    return;
  }
  if (envelope_add_rcpt(e, address, r.notify, r.orcpt) < 0) {
    reply_line(&s->out, "451 4.3.0 out of memory, try again later");
    return;
  }
  if (e->rcpt_count == 1) {
    strcpy(s->first_rcpt, r.address);
  }
  reply_line(&s->out, "250 2.1.5 recipient ok");
}

static void do_data(struct dialogue *s, const struct command *c)
{
  if (c->argument_len > 0) {
    dialogue_complain(s, "501 5.5.4 DATA takes no argument");
  } else if (!s->in_mail) {
    dialogue_complain(s, "503 5.5.1 MAIL and RCPT come first");
  } else if (s->envelope.rcpt_count == 0) {
    dialogue_complain(s, "554 5.5.1 no valid recipients"); /* RFC 5321 3.3 */
  } else {
    receive_message(s);
  }
}

static void do_help(struct dialogue *s)
{
  reply_line(&s->out, "214-2.0.0 This is relay, which passes mail on for its clients.");
  reply_line(&s->out, "214-2.0.0 Commands: HELO EHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT");
  reply_line(&s->out, "214-2.0.0 The limits are in the answer to EHLO; the log's line");
  reply_line(&s->out, "214 2.0.0 of a message has the id that the reply to DATA gives.");
}

static void do_short(struct dialogue *s, const struct command *c)
{
  switch (c->verb) {
  case COMMAND_RSET:
    dialogue_reset(s);
    reply_line(&s->out, "250 2.0.0 forgotten");
    break;
  case COMMAND_NOOP:
    reply_line(&s->out, "250 2.0.0 ok");
    break;
  case COMMAND_VRFY:
    if (c->argument_len == 0) {
      dialogue_complain(s, "501 5.5.4 VRFY needs an address");
    } else {
      reply_line(&s->out, "252 2.5.2 send some mail, I will try my best");
    }
    break;
  case COMMAND_QUIT:
    reply_printf(&s->out, "221 2.0.0 %s goodbye", s->rules->me);
    s->end = "quit";
    break;
  case COMMAND_FOREIGN:
    reply_line(&s->out, "500 5.5.1 this is an SMTP server");
    s->end = "not-smtp";
    break;
  case COMMAND_UNOFFERED:
    dialogue_complain(s, "502 5.5.1 command not offered here");
    break;
  default:
    dialogue_complain(s, "500 5.5.1 unknown command, HELP lists them");
  }
}

static void dispatch(struct dialogue *s, const struct command *c)
{
  switch (c->verb) {
  case COMMAND_HELO:
  case COMMAND_EHLO:
    do_helo(s, c);
    break;
  case COMMAND_MAIL:
    do_mail(s, c);
    break;
  case COMMAND_RCPT:
    do_rcpt(s, c);
    break;
  case COMMAND_DATA:
    do_data(s, c);
    break;
  case COMMAND_HELP:
    do_help(s);
    break;
  case COMMAND_STARTTLS:
    secure_command(s, c);
    break;
  case COMMAND_AUTH:
    auth_command(s, c);
    break;
  default:
    do_short(s, c);
  }
}

/*
 * Passwords do not get into the log, not even where AUTH is not offered: a
 * client whose AUTH was refused may go on with its name and password all the
 * same, so of what is no command only the length is told.
 */
static void log_command(struct dialogue *s, const char *line, size_t len, const struct command *c)
{
  if (scan_case_prefix(line, len, "AUTH")) {
    loglines_put(&s->log, '<', "AUTH [redacted]", 15);
  } else if (c->verb == COMMAND_UNKNOWN) {
    loglines_printf(&s->log, '<', "[unknown] [cut %zu]", len);
  } else {
    loglines_put(&s->log, '<', line, len);
  }
}

static void take_line(struct dialogue *s, const char *line, size_t len)
{
  struct command c;
  const char *wrong = command_parse(line, len, &c);

  log_command(s, line, len, &c);
  if (wrong) {
    dialogue_complain(s, wrong);
    return;
  }
  if (c.verb == COMMAND_RCPT
        ? ++s->rcpts > DIALOGUE_RCPTS_MAX
        : ++s->idle_commands > DIALOGUE_IDLE_COMMANDS_MAX && c.verb != COMMAND_QUIT) {
    reply_printf(&s->out, "421 4.7.0 %s too many commands without a message, closing connection",
                 s->rules->me);
    s->end = "idle-commands";
    return;
  }
  if (s->rules->denied && c.verb != COMMAND_QUIT) { /* RFC 5321 3.1 */
    dialogue_complain(s, "503 5.5.1 nothing is served here, say QUIT");
    return;
  }
  dispatch(s, &c);
}

/*
 * One read. The log is written before a wait, but not before one of a moment:
 * for a client in full flow that would be a write, and a wake-up of multilog,
 * for each reply.
 */
static ssize_t read_client(struct dialogue *s, size_t max, int64_t deadline)
{
  int64_t moment = clock_monotonic_ms() + INPUT_SOON_MS;

  if (moment < deadline && s->in.soon) {
    ssize_t n = input_read_soon(&s->in, max);
    if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
      return n;
    }
  } else if (moment < deadline && io_wait(s->in.fd, POLLIN, moment) == 0) {
    return input_read(&s->in, max, deadline);
  }
  loglines_flush(&s->log);
  return input_read(&s->in, max, deadline);
}

bool dialogue_wait(struct dialogue *s, size_t max, int64_t deadline)
{
  ssize_t n;

  reply_flush(&s->out);
  if (s->out.broken) {
    s->end = "client-takes-nothing";
    return false;
  }
  n = read_client(s, max, deadline);
  if (n > 0) {
    return true;
  }
  if (n < 0 && errno == ETIMEDOUT) {
    reply_printf(&s->out, "421 4.4.2 %s timeout, closing connection", s->rules->me);
    s->end = "timeout";
  } else {
    s->end = n == 0 ? "eof" : "connection-lost";
  }
  return false;
}

/* The time for one line is one timeout, however it trickles in. */
enum input_result dialogue_line(struct dialogue *s, const char **line, size_t *len)
{
  int64_t deadline = s->rules->denied ? s->began + DIALOGUE_DENIED_MS
                                      : clock_monotonic_ms() + s->rules->timeout_ms;
  enum input_result result;

  while ((result = input_line(&s->in, line, len)) == INPUT_NEED) {
    if (!dialogue_wait(s, INPUT_COMMAND_READ, deadline)) {
      break;
    }
  }
  return result;
}

static void take_command(struct dialogue *s)
{
  const char *line;
  size_t len;

  switch (dialogue_line(s, &line, &len)) {
  case INPUT_NEED:
    break;
  case INPUT_LINE:
    take_line(s, line, len);
    break;
  case INPUT_TOO_LONG:
    loglines_printf(&s->log, '=', "bad-line reason=too-long");
    dialogue_complain(s, "500 5.5.2 line too long");
    break;
  default:
    loglines_printf(&s->log, '=', "bad-line reason=bare-lf");
    reply_line(&s->out, "500 5.5.2 a line must end in CRLF, not LF alone (nc needs -C)");
    s->end = "bare-lf";
  }
}

static void log_connect(struct dialogue *s)
{
  const struct rules *t = s->rules;

  loglines_printf(&s->log, '=', "connect client=%s%s%s%s%s%s%s tenant=%s relay=%s%s%s",
                  t->client_text, *t->client_port ? " port=" : "", t->client_port,
                  *t->client_host ? " host=" : "", t->client_host, *t->local_ip ? " local=" : "",
                  t->local_ip, t->tenant, t->relay ? "yes" : "no", *t->source ? " source=" : "",
                  t->source);
  if (t->transparent) {
    loglines_printf(&s->log, '=', "%s destination=\"%s\"", t->denied ? "denied" : "transparent",
                    t->destination);
  }
}

/* What the client hears first, by what relay-queue says to it. */
static void greet(struct dialogue *s)
{
  struct intake_answer answer;
  enum hatch_result result =
    s->rules->denied ? HATCH_REFUSED : hatch_greeted(&s->hatch, &answer);

  if (s->rules->tls == RULES_TLS_IMMEDIATE && !secure_at_once(s)) {
    return;
  }
  if (s->rules->denied) {
    reply_line(&s->out, s->rules->denied);
    return;
  }
  switch (result) {
  case HATCH_OK:
    reply_printf(&s->out, "220 %s ESMTP", s->rules->me);
    break;
  case HATCH_REFUSED: /* too many connections of this tenant, or a full queue */
    reply_printf(&s->out, "%03d %s", answer.code, answer.text);
    s->end = "refused";
    break;
  default:
    reply_printf(&s->out, "421 4.3.0 %s relay is not running, try again later", s->rules->me);
    s->end = "no-intake";
  }
}

void dialogue_run(struct dialogue *s)
{
  log_connect(s);
  greet(s);
  while (!s->end) {
    take_command(s);
  }
  loglines_printf(&s->log, '=', "end reason=%s accepted=%lu refused=%lu ms=%lld", s->end,
                  s->accepted, s->refused, (long long)(clock_monotonic_ms() - s->began));
  reply_flush(&s->out);
  loglines_flush(&s->log);
  secure_end(s);
  hatch_free(&s->hatch);
  buf_free(&s->message);
  envelope_free(&s->envelope);
}
