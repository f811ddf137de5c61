/*
 * AUTH in the dialogue (RFC 4954). The password is decoded here, handed to
 * relay-authd, and wiped; no line of the exchange is logged. An authenticated
 * client may relay, and its name is its tenant.
 */
#include "dialogue.h"

#include "authd.h"
#include "clock.h"
#include "sasl.h"
#include "tls_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define FAILURES_MAX 3  /* wrong passwords in a session */
#define CONNECT_MS 2000 /* while relay-authd is between two lives */
#define RANDOM_BYTES 16

static struct rules authenticated; /* what the session is served by then */

/* Where one exchange is. */
struct exchange {
  struct dialogue *session;
  enum sasl_mechanism mechanism;
  struct authd_request request;
  char message[SASL_MESSAGE_MAX]; /* decoded */
  size_t len;
};

/* --- one message of the client's */

static const char *decode(struct exchange *x, const char *s, size_t len)
{
  if (len == 1 && *s == '=') { /* RFC 4954 4: an empty initial response */
    len = 0;
  }
  return sasl_base64_decode(s, len, x->message, sizeof x->message, &x->len)
           ? NULL
           : "501 5.5.2 that is not base64, or too long";
}

/* Asks with a 334 and reads the answer; NULL, the reply to give, or "": the session is over. */
static const char *ask(struct exchange *x, const char *prompt)
{
  struct dialogue *s = x->session;
  const char *line, *wrong;
  size_t len;

  reply_printf(&s->out, "334 %s", prompt);
  switch (dialogue_line(s, &line, &len)) {
  case INPUT_LINE:
    break;
  case INPUT_TOO_LONG:
    return "500 5.5.6 line too long"; /* RFC 4954 4 */
  case INPUT_BARE_LF:
    s->end = "bare-lf";
    return "500 5.5.2 a line must end in CRLF, not LF alone";
  default:
    return "";
  }
  loglines_put(&s->log, '<', "[redacted]", 10);
  wrong = len == 1 && *line == '*' ? "501 5.7.0 AUTH cancelled" : decode(x, line, len);
  tls_wipe((char *)(uintptr_t)line, len);
  return wrong;
}

/* --- mechanisms */

static const char *plain(struct exchange *x, bool initial)
{
  const char *wrong = initial ? NULL : ask(x, "");

  return wrong ? wrong : sasl_plain(x->message, x->len, &x->request);
}

static const char *login(struct exchange *x, bool initial)
{
  const char *wrong = initial ? NULL : ask(x, "VXNlcm5hbWU6"); /* Username: */
  const char *refusal = wrong ? NULL : sasl_login_user(x->message, x->len, &x->request);

  wrong = wrong ? wrong : ask(x, "UGFzc3dvcmQ6"); /* Password: */
  wrong = wrong ? wrong : sasl_login_password(x->message, x->len, &x->request);
  return wrong ? wrong : refusal;
}

/* <random.time@me>, RFC 2195 2 */
static int make_challenge(struct exchange *x)
{
  unsigned char random[RANDOM_BYTES];
  char *to = x->request.challenge;
  int n = 1;

  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
    return -1;
  }
  *to = '<';
  for (size_t i = 0; i < sizeof random; i++) {
    n += snprintf(to + n, 3, "%02x", random[i]);
  }
  /* A long name is cut: it is there for people only. */
  snprintf(to + n, sizeof x->request.challenge - (size_t)n, ".%lld@%.150s>",
           (long long)clock_wall_ms() / 1000, x->session->rules->me);
  return 0;
}

static const char *cram_md5(struct exchange *x, bool initial)
{
  char prompt[4 * ((AUTHD_SECRET_SIZE + 2) / 3) + 1];
  const char *wrong;

  if (initial) {
    return "501 5.7.0 CRAM-MD5 takes no initial response"; /* RFC 4954 4 */
  }
  if (make_challenge(x) < 0) {
    return "454 4.7.0 no random bytes, try again later";
  }
  sasl_base64_encode(x->request.challenge, strlen(x->request.challenge), prompt);
  wrong = ask(x, prompt);
  return wrong ? wrong : sasl_cram_md5(x->message, x->len, &x->request);
}

/* --- the check */

/* '+', '-', or 'T' with text. */
static char check(struct exchange *x, char text[AUTHD_TEXT_SIZE])
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char datagram[AUTHD_TEXT_SIZE + 32], verb = 'T';
  int64_t now = clock_monotonic_ms();
  int fd = seqpacket_connect_patiently(AUTHD_PATH, now + CONNECT_MS);
  ssize_t n = -1;

  snprintf(x->request.client, sizeof x->request.client, "%s", x->session->rules->client_text);
  if (fd != -1 && authd_put_request(&b, &x->request) == 0 &&
      seqpacket_send_by(fd, b.data, b.len, -1, now + AUTHD_ANSWER_MS) == 0) {
    loglines_flush(&x->session->log);
    n = seqpacket_recv_by(fd, datagram, sizeof datagram, NULL, now + AUTHD_ANSWER_MS);
  }
  if (n <= 0 || authd_get_answer(datagram, (size_t)n, &verb, text) < 0) {
    verb = 'T';
    snprintf(text, AUTHD_TEXT_SIZE, "relay-authd: %s", n < 0 ? strerror(errno) : "no answer");
  }
  if (b.data) {
    tls_wipe(b.data, b.len);
  }
  buf_free(&b);
  if (fd != -1) {
    close(fd);
  }
  return verb;
}

/* The client is now user: may relay, and counts as that tenant (lib/intake.h, H). */
static void become(struct dialogue *s, const char *user)
{
  struct intake_answer answer;

  authenticated = *s->rules;
  authenticated.relay = true;
  *authenticated.suffix = '\0';
  snprintf(authenticated.tenant, sizeof authenticated.tenant, "%s", user);
  s->rules = &authenticated;
  s->hatch.tenant = authenticated.tenant;
  snprintf(s->auth, sizeof s->auth, "%s", user);
  switch (hatch_open(&s->hatch, &answer)) {
  case HATCH_OK:
    reply_line(&s->out, "235 2.7.0 welcome");
    break;
  case HATCH_REFUSED:
    reply_printf(&s->out, "%03d %s", answer.code == 421 ? 421 : 454, answer.text);
    s->end = "refused";
    break;
  default:
    reply_printf(&s->out, "421 4.3.0 %s relay is not running, try again later", s->rules->me);
    s->end = "no-intake";
  }
}

static void conclude(struct exchange *x)
{
  struct dialogue *s = x->session;
  char text[AUTHD_TEXT_SIZE];

  reply_flush(&s->out);
  switch (check(x, text)) {
  case '+':
    loglines_printf(&s->log, '=', "auth user=%s", x->request.user);
    become(s, x->request.user);
    break;
  case '-':
    loglines_printf(&s->log, '=', "auth-failed user=%s", x->request.user);
    dialogue_complain(s, sasl_refusal);
    if (++s->auth_failures >= FAILURES_MAX && !s->end) {
      reply_printf(&s->out, "421 4.7.0 %s too many wrong passwords, closing connection",
                   s->rules->me);
      s->end = "auth-failures";
    }
    break;
  default:
    loglines_printf(&s->log, '=', "auth-failed user=%s reason=\"%s\"", x->request.user, text);
    reply_line(&s->out, "454 4.7.0 authentication is not possible now, try again later");
  }
}

static void exchange(struct dialogue *s, enum sasl_mechanism mechanism, const char *initial,
                     size_t initial_len)
{
  struct exchange x = {.session = s, .mechanism = mechanism};
  const char *wrong = initial ? decode(&x, initial, initial_len) : NULL;

  if (initial) {
    tls_wipe((char *)(uintptr_t)initial, initial_len);
  }
  if (!wrong) {
    wrong = mechanism == SASL_PLAIN   ? plain(&x, initial)
            : mechanism == SASL_LOGIN ? login(&x, initial)
                                      : cram_md5(&x, initial);
  }
  tls_wipe(x.message, sizeof x.message);
  if (!wrong) {
    conclude(&x);
  } else if (*wrong) {
    dialogue_complain(s, wrong);
  }
  tls_wipe(&x, sizeof x);
}

/* --- what is offered */

static bool offered(const struct dialogue *s)
{
  enum rules_auth auth = s->rules->auth;

  return auth != RULES_AUTH_NONE &&
         (s->tls || (auth == RULES_AUTH_CLEAR && s->rules->tls != RULES_TLS_REQUIRE));
}

void auth_offer(struct dialogue *s)
{
  if (offered(s) && !*s->auth) {
    reply_printf(&s->out, "250-AUTH PLAIN LOGIN%s", s->rules->cram ? " CRAM-MD5" : "");
  }
}

/* The reply that says why there can be no AUTH now, NULL if there can. */
static const char *why_not(const struct dialogue *s)
{
  if (s->rules->auth == RULES_AUTH_NONE) {
    return "502 5.5.1 AUTH is not offered here";
  }
  if (!s->esmtp) {
    return "503 5.5.1 say EHLO first";
  }
  if (*s->auth) {
    return "503 5.5.1 you are authenticated already"; /* RFC 4954 4 */
  }
  if (s->in_mail) {
    return "503 5.5.1 not in the middle of a transaction";
  }
  if (!offered(s)) { /* RFC 4954 6 */
    return s->rules->tls == RULES_TLS_REQUIRE ? "530 5.7.0 say STARTTLS first"
                                              : "538 5.7.11 AUTH needs TLS: say STARTTLS first";
  }
  return NULL;
}

void auth_command(struct dialogue *s, const struct command *c)
{
  const char *initial, *wrong = why_not(s);
  size_t initial_len;
  enum sasl_mechanism mechanism = sasl_parse(c->argument, c->argument_len, &initial, &initial_len);

  if (wrong) {
    dialogue_complain(s, wrong);
  } else if (mechanism == SASL_UNKNOWN || (mechanism == SASL_CRAM_MD5 && !s->rules->cram)) {
    dialogue_complain(s, "504 5.5.4 this AUTH mechanism is not offered");
  } else {
    exchange(s, mechanism, initial, initial_len);
  }
}

const char *auth_mail_refused(const struct dialogue *s)
{
  return s->rules->auth == RULES_AUTH_REQUIRE && !*s->auth
           ? "530 5.7.0 authentication is required: AUTH"
           : NULL;
}

void auth_forget(struct dialogue *s)
{
  struct intake_answer answer;

  if (!*s->auth) {
    return;
  }
  *s->auth = '\0';
  s->rules = s->first_rules;
  s->hatch.tenant = s->rules->tenant;
  if (hatch_open(&s->hatch, &answer) != HATCH_OK) {
    hatch_close(&s->hatch); /* the next message tries again */
  }
}
