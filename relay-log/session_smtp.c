/*
 * An SMTP session between a client that may want to fool us and a server that
 * does not. See follow.h for what is concluded from what.
 *
 * owed counts the replies that are due: the reply to DATA, AUTH or STARTTLS is
 * the one after which none is. 354, 334, 235 and the dot say so themselves, so
 * a server that leaves a reply out, or gives one too many, is soon counted
 * right again.
 */
#include "session.h"

#include "scan.h"

#include <string.h>

#define CHUNK_DIGITS_MAX 18 /* of BDAT's size: fits 64 bits */

enum asked { ASKED_DATA, ASKED_TLS, ASKED_TURN };

enum verb { PLAIN, ENDS_CONTENT, AUTH, DATA, BDAT, STARTTLS, TURN, QUIT, UNKNOWN };

static const struct {
  const char *name;
  enum verb verb;
} verbs[] = {
  {"MAIL", ENDS_CONTENT}, {"RCPT", PLAIN},
  {"DATA", DATA},         {"BDAT", BDAT},
  {"EHLO", ENDS_CONTENT}, {"HELO", ENDS_CONTENT},
  {"LHLO", ENDS_CONTENT}, {"RSET", ENDS_CONTENT},
  {"QUIT", QUIT},         {"NOOP", PLAIN},
  {"AUTH", AUTH},         {"STARTTLS", STARTTLS},
  {"VRFY", PLAIN},        {"EXPN", PLAIN},
  {"HELP", PLAIN},        {"ETRN", PLAIN},
  {"ATRN", TURN},         {"TURN", TURN},
  {"SEND", ENDS_CONTENT}, {"SOML", ENDS_CONTENT},
  {"SAML", ENDS_CONTENT}, {"BURL", PLAIN},
  {"XCLIENT", PLAIN},     {"XFORWARD", PLAIN},
  {"X-EXPS", AUTH},       {"X-ANONYMOUSTLS", STARTTLS},
};

void smtp_begin(struct track *k)
{
  k->state = TRACK_COMMANDS;
  k->owed = 1;
}

static bool is_blank(char c)
{
  return c == ' ' || c == '\t';
}

/* Servers differ in whether they take blanks before a command: here they do. */
static enum verb find_verb(const char *line, size_t len, const char **argument)
{
  const char *end = line + len, *p;

  while (line < end && is_blank(*line)) {
    line++;
  }
  for (p = line; p < end && !is_blank(*p); p++) {
  }
  *argument = p;
  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    if (scan_case_equal(line, (size_t)(p - line), verbs[i].name, strlen(verbs[i].name))) {
      return verbs[i].verb;
    }
  }
  return UNKNOWN;
}

/* "12 LAST" (RFC 3030 2). A size that is none, or that another might read differently: false. */
static bool parse_chunk(struct track *k, const char *p, const char *end)
{
  size_t digits;
  uint64_t size;

  while (p < end && is_blank(*p)) {
    p++;
  }
  digits = scan_digits(p, (size_t)(end - p));
  if (digits == 0 || digits > CHUNK_DIGITS_MAX || scan_u64(p, digits, UINT64_MAX, &size) < 0) {
    return false;
  }
  for (p += digits; p < end && is_blank(*p); p++) {
  }
  if (p < end && !is_blank(p[-1])) {
    return false;
  }
  k->chunk_last = scan_case_equal(p, (size_t)(end - p), "LAST", 4);
  k->left = size;
  return p == end || k->chunk_last;
}

/* Content is over: by its end, or because something else begins. */
static void end_content(struct follow *f, struct track *k)
{
  content_finish(f, k, '<');
  if (!k->resync) {
    outlet_printf(f->outlet, k->pid, '=', "content bytes=%llu",
                  (unsigned long long)k->content.bytes);
  }
  k->chunk_open = false;
}

static void begin_chunk(struct follow *f, struct track *k, const char *argument, const char *end)
{
  if (!parse_chunk(k, argument, end)) {
    session_lost(f, k, "chunk-size");
    return;
  }
  if (!k->chunk_open) {
    content_start(f, k, true);
    k->chunk_open = true;
    k->resync = false;
  }
  k->state = TRACK_CHUNK;
  if (k->left == 0) {
    k->state = TRACK_COMMANDS;
    if (k->chunk_last) {
      end_content(f, k);
    }
  }
}

static void ask(struct track *k, enum asked what)
{
  k->state = TRACK_ASKED;
  k->asked = what;
  k->early = false;
}

/* A command that is one: logged, but for secrets. */
static void known_command(struct follow *f, struct track *k, enum verb verb, const char *line,
                          size_t len, size_t more, const char *argument)
{
  if (verb == AUTH) {
    session_put_auth(f, k, line, len);
    k->hidden = true;
    k->state = TRACK_AUTH;
    k->left = 0;
    k->early = false;
    return;
  }
  if (k->chunk_open && (verb == ENDS_CONTENT || verb == DATA || verb == QUIT)) {
    end_content(f, k);
  }
  outlet_put(f->outlet, k->pid, '<', line, len, more);
  switch (verb) {
  case DATA:
    ask(k, ASKED_DATA);
    break;
  case STARTTLS:
    ask(k, ASKED_TLS);
    break;
  case TURN:
    ask(k, ASKED_TURN);
    break;
  case BDAT:
    if (more > 0) {
      session_lost(f, k, "chunk-size");
    } else {
      begin_chunk(f, k, argument, line + len);
    }
    break;
  default:
    k->quit = k->quit || verb == QUIT;
  }
}

static void command(struct follow *f, struct track *k, const char *line, size_t len, size_t more)
{
  const char *argument;
  enum verb verb;

  if (more == 0 && len > 0 && line[len - 1] == '\r') {
    len--;
  }
  k->owed++;
  if (len > 0 && (memchr(line, '\r', len) || memchr(line, '\0', len))) {
    session_lost(f, k, "control-byte"); /* to some servers a CR ends a line */
    return;
  }
  verb = find_verb(line, len, &argument);
  if (verb == UNKNOWN) {
    /* Not one byte: it may be a mistyped password, or content that we take for commands. */
    outlet_printf(f->outlet, k->pid, '<', "[unknown] [cut %zu]", len + more);
    k->hidden = true;
    return;
  }
  known_command(f, k, verb, line, len, more, argument);
}

static void take_command(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  bool whole = k->in.len == 0 && k->in.more == 0;

  if (whole && !k->greeted && len > 0 && *p == 0x16) { /* RFC 8446 5.1: a handshake */
    session_tls(f, k, "implicit");
    return;
  }
  session_join(f, k, &k->in, p, len, newline, command);
}

/* Bytes of a BDAT chunk; how many of len + newline they were. */
static size_t take_chunk(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  size_t n = k->left < len + newline ? (size_t)k->left : len + newline;

  k->left -= n;
  content_take(f, k, '<', p, n < len ? n : len, n > len, false);
  if (k->left == 0) {
    k->state = TRACK_COMMANDS;
    if (k->chunk_last) {
      end_content(f, k);
    }
  }
  return n;
}

static void take_content(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  switch (content_take(f, k, '<', p, len, newline, true)) {
  case CONTENT_END:
    end_content(f, k);
    k->owed = 1;
    k->state = k->resync ? TRACK_RESYNC : TRACK_COMMANDS;
    break;
  case CONTENT_SOFT_END:
    k->loose_end = true;
    break;
  default:
    break;
  }
}

void smtp_client(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  size_t n;

  if (k->state == TRACK_CHUNK) {
    n = take_chunk(f, k, p, len, newline);
    if (n == len + newline) {
      return;
    }
    p += n;
    len -= n;
  }
  switch (k->state) {
  case TRACK_FIRST:
    session_lost(f, k, "begin-not-seen");
    break;
  case TRACK_COMMANDS:
    take_command(f, k, p, len, newline);
    break;
  case TRACK_CONTENT:
    take_content(f, k, p, len, newline);
    break;
  case TRACK_ASKED:
    k->early = true; /* content or commands? The reply might tell, but how much is before it? */
    break;
  case TRACK_AUTH:
    if (newline) {
      outlet_str(f->outlet, k->pid, '<', "[redacted]");
    }
    k->early = k->early || k->left == 0; /* not asked: a password for what AUTH? */
    k->left -= newline && k->left > 0;
    break;
  default:
    break;
  }
}

/* --- replies */

static void begin_content(struct follow *f, struct track *k)
{
  bool asked = k->state == TRACK_ASKED && k->asked == ASKED_DATA && !k->early;

  /* Otherwise some of the content may have come already: of this none is logged. */
  k->resync = !asked;
  k->state = TRACK_CONTENT;
  k->loose_end = false;
  k->owed = 0;
  content_start(f, k, asked);
}

static void answered(struct follow *f, struct track *k, int code, bool greeted)
{
  if (k->asked == ASKED_TLS && code == 220 && greeted) {
    session_tls(f, k, "starttls");
  } else if (k->owed > 0) {
    return;
  } else if (k->asked == ASKED_TURN && code == 250) {
    session_lost(f, k, "turned");
    k->state = TRACK_OPAQUE;
  } else if (code < 400 || k->early) {
    session_lost(f, k, "client-too-early");
  } else {
    k->state = TRACK_COMMANDS;
  }
}

static void end_auth(struct follow *f, struct track *k)
{
  k->owed = 0;
  if (k->early) {
    session_lost(f, k, "client-too-early");
  } else {
    k->state = TRACK_COMMANDS;
  }
}

/* The last line of a reply. */
static void final_reply(struct follow *f, struct track *k, int code, bool greeted)
{
  if (code == 354) {
    begin_content(f, k);
    return;
  }
  if (code == 334) {
    if (k->state == TRACK_COMMANDS) { /* an AUTH that we have not seen as one */
      k->state = TRACK_AUTH;
      k->left = 0;
      k->early = true;
    }
    k->left += k->state == TRACK_AUTH;
    return;
  }
  k->owed -= k->owed > 0;
  switch (k->state) {
  case TRACK_ASKED:
    answered(f, k, code, greeted);
    break;
  case TRACK_AUTH:
    if (code == 235 || k->owed == 0) {
      end_auth(f, k);
    }
    break;
  case TRACK_CONTENT:
    /* A reply before CRLF "." CRLF: the server has taken another line for the end. */
    content_finish(f, k, '<');
    if (k->loose_end && code != 421 && !k->resync) {
      k->state = TRACK_COMMANDS;
    } else {
      session_lost(f, k, "reply-in-content");
    }
    break;
  case TRACK_RESYNC:
    k->state = TRACK_COMMANDS;
    k->told = false;
    break;
  default:
    break;
  }
}

static int reply_code(const char *line, size_t len)
{
  if (len < 3 || line[0] < '2' || line[0] > '5' || scan_digits(line, 3) < 3 ||
      (len > 3 && line[3] != ' ' && line[3] != '-')) {
    return -1;
  }
  return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static void reply(struct follow *f, struct track *k, const char *line, size_t len, size_t more)
{
  bool greeted = k->greeted;
  int code;

  if (more == 0 && len > 0 && line[len - 1] == '\r') {
    len--;
  }
  code = reply_code(line, len);
  k->greeted = true;
  if (k->state == TRACK_FIRST && (code == 220 || code == 421 || code == 554)) {
    smtp_begin(k);
  }
  if (k->state == TRACK_FIRST || (code == -1 && k->state != TRACK_LOST)) {
    session_lost(f, k, code == -1 ? "garbled-reply" : "begin-not-seen");
  }
  if (code == -1) {
    return;
  }
  if (k->state != TRACK_LOST && code == 334) {
    outlet_str(f->outlet, k->pid, '>', "334 [redacted]");
  } else if (k->state != TRACK_LOST && k->hidden && code >= 500 && code <= 504 && len > 4) {
    /* "500 unknown command: ..." */
    outlet_printf(f->outlet, k->pid, '>', "%.3s%c[redacted]", line, len > 3 ? line[3] : ' ');
  } else if (k->state != TRACK_LOST) {
    outlet_put(f->outlet, k->pid, '>', line, len, more);
  }
  if (len == 3 || line[3] == ' ') {
    final_reply(f, k, code, greeted);
    k->hidden = k->hidden && k->owed > 0;
  }
}

void smtp_server(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  if (k->state == TRACK_OPAQUE) {
    return;
  }
  session_join(f, k, &k->out, p, len, newline, reply);
}
