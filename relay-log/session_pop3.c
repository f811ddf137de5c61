/*
 * A POP3 session. Client and server may be believed; who would fool us is the
 * author of a mail that is read. So of the server's lines only the answer that
 * is due is looked at, and a multi-line one ends at CRLF "." CRLF only.
 *
 * Clients may send commands without waiting (RFC 2449 6.6): queue has, for each
 * answer that is due, what it will be. An answer that is none of +OK and -ERR
 * means that the count is lost, and with it all that could be trusted.
 */
#include "session.h"

#include "scan.h"

#include <string.h>

#define QUEUE_MAX 4096 /* commands sent ahead: clients do so for each message of a mailbox */

enum due { DUE_LINE, DUE_LIST, DUE_MESSAGE, DUE_AUTH, DUE_TLS };
#define DUE_HIDDEN 0x40 /* besides: to a command that was not logged; an -ERR may repeat it */

enum secret { OPEN, FIRST_WORD, NO_WORD }; /* how much of a command's arguments is logged */

static const struct verb {
  const char *name;
  enum secret secret;
  enum due bare, with; /* without and with an argument */
  bool begins;         /* only given before logging in: the session is at its beginning */
} verbs[] = {
  {"USER", FIRST_WORD, DUE_LINE, DUE_LINE, true}, {"PASS", NO_WORD, DUE_LINE, DUE_LINE, false},
  {"APOP", FIRST_WORD, DUE_LINE, DUE_LINE, true}, {"AUTH", NO_WORD, DUE_LIST, DUE_AUTH, true},
  {"STLS", OPEN, DUE_TLS, DUE_TLS, true},         {"CAPA", OPEN, DUE_LIST, DUE_LIST, true},
  {"STAT", OPEN, DUE_LINE, DUE_LINE, false},      {"LIST", OPEN, DUE_LIST, DUE_LINE, false},
  {"UIDL", OPEN, DUE_LIST, DUE_LINE, false},      {"RETR", OPEN, DUE_MESSAGE, DUE_MESSAGE, false},
  {"TOP", OPEN, DUE_MESSAGE, DUE_MESSAGE, false}, {"DELE", OPEN, DUE_LINE, DUE_LINE, false},
  {"NOOP", OPEN, DUE_LINE, DUE_LINE, false},      {"RSET", OPEN, DUE_LINE, DUE_LINE, false},
  {"LAST", OPEN, DUE_LINE, DUE_LINE, false},      {"LANG", OPEN, DUE_LIST, DUE_LINE, false},
  {"UTF8", OPEN, DUE_LINE, DUE_LINE, false},      {"QUIT", OPEN, DUE_LINE, DUE_LINE, false},
};

static void expect(struct follow *f, struct track *k, enum due due, bool hidden)
{
  char c = (char)(due | (hidden ? DUE_HIDDEN : 0));

  text_add(&f->tracks, &k->queue, &c, 1);
  if (k->queue.len > QUEUE_MAX || k->queue.more > 0) {
    session_lost(f, k, "commands-ahead");
  }
}

void pop3_begin(struct follow *f, struct track *k)
{
  k->state = TRACK_COMMANDS;
  expect(f, k, DUE_LINE, false);
}

static const struct verb *find_verb(const char *line, size_t len)
{
  const char *blank = memchr(line, ' ', len);
  size_t n = blank ? (size_t)(blank - line) : len;

  for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
    if (scan_case_equal(line, n, verbs[i].name, strlen(verbs[i].name))) {
      return &verbs[i];
    }
  }
  return NULL;
}

/* USER name, APOP name digest, PASS secret. */
static void put_login(struct follow *f, struct track *k, const struct verb *v, const char *line,
                      size_t len, size_t more)
{
  size_t n = strlen(v->name), name = 0;

  if (v->secret == FIRST_WORD && n < len) {
    const char *blank = memchr(line + n + 1, ' ', len - n - 1);
    name = blank ? (size_t)(blank - line) : len;
  }
  if ((name == len || n == len) && more == 0) {
    outlet_put(f->outlet, k->pid, '<', line, len, 0);
    return;
  }
  char text[256];
  size_t shown = name > n ? name : n;
  shown = shown < sizeof text - 16 ? shown : sizeof text - 16;
  memcpy(text, line, shown);
  memcpy(text + shown, " [redacted]", 11);
  outlet_put(f->outlet, k->pid, '<', text, shown + 11, 0);
}

static void put_command(struct follow *f, struct track *k, const struct verb *v, const char *line,
                        size_t len, size_t more)
{
  if (!v) {
    /* Not one byte: a password on the wrong line, perhaps. */
    outlet_printf(f->outlet, k->pid, '<', "[unknown] [cut %zu]", len + more);
  } else if (v->with == DUE_AUTH) {
    session_put_auth(f, k, line, len);
  } else if (v->secret != OPEN) {
    put_login(f, k, v, line, len, more);
  } else {
    outlet_put(f->outlet, k->pid, '<', line, len, more);
  }
}

/*
 * The session's first line was +OK, and is kept in out: was it the greeting?
 * Only if what follows it at once is what nobody says in the middle of a session.
 */
static bool confirm_begin(struct follow *f, struct track *k, const struct verb *v)
{
  if (k->state != TRACK_FIRST) {
    return true;
  }
  if (!k->greeted || !v || !v->begins) {
    session_lost(f, k, "begin-not-seen");
    return false;
  }
  outlet_put(f->outlet, k->pid, '>', k->out.data, k->out.len, k->out.more);
  text_clear(&f->tracks, &k->out);
  k->state = TRACK_COMMANDS;
  return true;
}

static void command(struct follow *f, struct track *k, const char *line, size_t len, size_t more)
{
  const struct verb *v;

  if (more == 0 && len > 0 && line[len - 1] == '\r') {
    len--;
  }
  /* AUTH's answers are not commands; nothing may be sent ahead of its end (RFC 5034 4). */
  if (k->queue.len > 0 && memchr(k->queue.data, DUE_AUTH, k->queue.len)) {
    if (!k->asked_auth) {
      session_lost(f, k, "client-too-early");
      return;
    }
    k->asked_auth = false;
    outlet_str(f->outlet, k->pid, '<', "[redacted]");
    return;
  }
  v = len > 0 ? find_verb(line, len) : NULL;
  if (!confirm_begin(f, k, v)) {
    return;
  }
  put_command(f, k, v, line, len, more);
  k->quit = k->quit || (v && strcmp(v->name, "QUIT") == 0);
  expect(f, k, !v ? DUE_LINE : len > strlen(v->name) ? v->with : v->bare,
         !v || (v->secret == NO_WORD && v->with == DUE_LINE));
}

void pop3_client(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  bool whole = k->in.len == 0 && k->in.more == 0;

  if (k->state == TRACK_LOST || k->state == TRACK_OPAQUE) {
    return;
  }
  if (whole && !k->greeted && len > 0 && *p == 0x16) { /* RFC 8446 5.1: a handshake */
    session_tls(f, k, "implicit");
    return;
  }
  session_join(f, k, &k->in, p, len, newline, command);
}

/* --- answers */

static void answered(struct follow *f, struct track *k, enum due due, bool crlf)
{
  switch (due) {
  case DUE_MESSAGE:
  case DUE_LIST:
    k->state = due == DUE_MESSAGE ? TRACK_CONTENT : TRACK_LISTING;
    k->loose_end = !crlf; /* a server that has never heard of CR */
    k->left = 0;
    content_start(f, k, due == DUE_MESSAGE);
    break;
  case DUE_TLS:
    session_tls(f, k, "starttls");
    break;
  default:
    break;
  }
}

static void take_due(struct text *queue)
{
  queue->len--;
  memmove(queue->data, queue->data + 1, queue->len);
}

static bool is_word(const char *line, size_t len, const char *word)
{
  size_t n = strlen(word);

  return len >= n && memcmp(line, word, n) == 0 && (len == n || line[n] == ' ');
}

static void answer(struct follow *f, struct track *k, const char *line, size_t len, size_t more)
{
  bool crlf = more > 0 || (len > 0 && line[len - 1] == '\r'), ok, error;
  enum due due;

  if (more == 0 && crlf) {
    len--;
  }
  ok = is_word(line, len, "+OK");
  error = is_word(line, len, "-ERR");
  if (k->queue.len == 0) {
    session_lost(f, k, "answer-not-due");
    return;
  }
  bool hidden = k->queue.data[0] & DUE_HIDDEN;
  due = (enum due)(k->queue.data[0] & ~DUE_HIDDEN);
  if (due == DUE_AUTH && is_word(line, len, "+")) {
    outlet_str(f->outlet, k->pid, '>', "+ [redacted]");
    k->asked_auth = true;
    return;
  }
  if (!ok && !error) {
    session_lost(f, k, "garbled-answer");
    return;
  }
  if (error && hidden && len > 4) {
    outlet_str(f->outlet, k->pid, '>', "-ERR [redacted]");
  } else {
    outlet_put(f->outlet, k->pid, '>', line, len, more);
  }
  take_due(&k->queue);
  if (ok) {
    answered(f, k, due, crlf);
  }
}

/* The first line of a session that may be in its middle: see confirm_begin(). */
static void first_answer(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  if (k->greeted || f->tcpserver) {
    session_lost(f, k, "begin-not-seen");
    return;
  }
  text_add(&f->tracks, &k->out, p, len);
  if (!newline) {
    return;
  }
  if (k->out.more == 0 && k->out.len > 0 && k->out.data[k->out.len - 1] == '\r') {
    k->out.len--;
  }
  k->greeted = true;
  if (k->out.len == 0 || !is_word(k->out.data, k->out.len, "+OK")) {
    session_lost(f, k, "begin-not-seen");
  }
}

static void take_content(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  enum content_result result = content_take(f, k, '>', p, len, newline, true);

  k->left += newline;
  if (result == CONTENT_GOES_ON || (result == CONTENT_SOFT_END && !k->loose_end)) {
    return;
  }
  content_finish(f, k, '>');
  if (k->state == TRACK_LISTING) {
    outlet_printf(f->outlet, k->pid, '=', "listing lines=%llu", (unsigned long long)k->left - 1);
  } else {
    outlet_printf(f->outlet, k->pid, '=', "content bytes=%llu",
                  (unsigned long long)k->content.bytes);
  }
  k->state = TRACK_COMMANDS;
}

static void take_answer(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  k->greeted = true;
  session_join(f, k, &k->out, p, len, newline, answer);
}

void pop3_server(struct follow *f, struct track *k, const char *p, size_t len, bool newline)
{
  switch (k->state) {
  case TRACK_FIRST:
    first_answer(f, k, p, len, newline);
    break;
  case TRACK_COMMANDS:
    take_answer(f, k, p, len, newline);
    break;
  case TRACK_CONTENT:
  case TRACK_LISTING:
    take_content(f, k, p, len, newline);
    break;
  default:
    break;
  }
}
