/*
 * relay-log: what comes out does not depend on the text of bodies and passwords.
 *
 * A model of a server is spoken to by the input; it knows which bytes are
 * content behind the header and which are secret. The session is written as
 * recordio would, and read twice: as it is, and with each such byte replaced.
 * The two must come out the same; and the same in pieces of one byte. The
 * first bytes of the input choose the protocol, how the client runs ahead, and
 * what the server answers.
 */
#include "follow.h"

#include "../lib/recorded.h"
#include "scan.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_INPUT 4096

struct said {
  struct buf bytes, taint; /* a byte of taint for each of bytes */
};

struct event {
  char direction;
  size_t from, to;
};

static struct session {
  struct said in, out;
  size_t events_len;
  struct event events[4 * SIZE_MAX_INPUT];
  uint32_t chance;
  size_t out_done; /* of out, what recordio has seen */
} s;

static unsigned roll(unsigned n)
{
  s.chance = s.chance * 1664525 + 1013904223;
  return (s.chance >> 16) % n;
}

static void say(const char *text, size_t len, bool taint)
{
  for (size_t i = 0; i < len; i++) {
    buf_append_char(&s.out.bytes, text[i]);
    buf_append_char(&s.out.taint, taint);
  }
}

static void reply(const char *text)
{
  say(text, strlen(text), false);
  say("\r\n", 2, false);
}

static void event(char direction, size_t from, size_t to)
{
  if (to > from && s.events_len < 4 * SIZE_MAX_INPUT) {
    s.events[s.events_len++] = (struct event){direction, from, to};
  }
}

static void taint(size_t from, size_t to)
{
  memset(s.in.taint.data + from, 1, to - from);
}

/* --- the servers; each has a line of the client's, and where it is */

enum mode { COMMANDS, CONTENT, CHUNK, AUTH, TLS };
static enum mode mode;
static bool lenient, body, last_crlf, mid_line;
static uint64_t left;

static bool is(const char *line, size_t len, const char *verb)
{
  size_t n = strlen(verb);

  return scan_case_prefix(line, len, verb) && (len == n || line[n] == ' ');
}

static size_t behind_second_blank(const char *line, size_t len)
{
  const char *one = memchr(line, ' ', len), *two;

  two = one ? memchr(one + 1, ' ', len - (size_t)(one + 1 - line)) : NULL;
  return two ? (size_t)(two + 1 - line) : len;
}

static void auth_reply(const char *more, const char *good, const char *bad)
{
  unsigned n = roll(3);

  mode = n == 0 ? AUTH : COMMANDS;
  reply(n == 0 ? more : n == 1 ? good : bad);
}

static void chunk(const char *line, size_t len)
{
  const char *p = line + 4;
  size_t digits;

  while (p < line + len && *p == ' ') {
    p++;
  }
  digits = scan_digits(p, (size_t)(line + len - p));
  if (digits == 0 || digits > 9 || (p + digits < line + len && p[digits] != ' ')) {
    reply("501 no");
    return;
  }
  scan_u64(p, digits, UINT64_MAX, &left);
  mode = left > 0 ? CHUNK : COMMANDS;
  if (left == 0) {
    reply("250 ok");
  }
}

static void smtp_command(const char *line, size_t len, size_t at)
{
  if (len > 0 && line[len - 1] == '\r') {
    len--;
  }
  if (is(line, len, "DATA")) {
    mode = roll(4) ? CONTENT : COMMANDS;
    body = false;
    last_crlf = true;
    reply(mode == CONTENT ? "354 go" : "554 no");
  } else if (is(line, len, "BDAT")) {
    chunk(line, len);
  } else if (is(line, len, "AUTH")) {
    taint(at + behind_second_blank(line, len), at + len);
    auth_reply("334 x", "235 ok", "535 no");
  } else if (is(line, len, "STARTTLS")) {
    mode = roll(2) ? TLS : COMMANDS;
    reply(mode == TLS ? "220 go" : "454 no");
  } else if (is(line, len, "MAIL") || is(line, len, "RCPT") || is(line, len, "RSET") ||
             is(line, len, "EHLO")) {
    mid_line = body = is(line, len, "RCPT") && body;
    reply("250-a");
    reply("250 b");
  } else {
    reply("500 what");
  }
}

/* Is what follows this line of a header the body? */
static bool ends_header(const char *line, size_t len)
{
  return len == 0 || (*line != ' ' && *line != '\t' && !memchr(line, ':', len));
}

static void smtp_content(const char *line, size_t len, size_t at)
{
  bool crlf = len > 0 && line[len - 1] == '\r';
  size_t n = len - crlf;

  if (n == 1 && *line == '.' && (lenient || (crlf && last_crlf))) {
    mode = COMMANDS;
    reply("250 ok");
    return;
  }
  if (body) {
    taint(at, at + len);
  }
  body = body || ends_header(line, n);
  last_crlf = crlf;
}

static void smtp_line(const char *line, size_t len, size_t at)
{
  if (mode == COMMANDS) {
    smtp_command(line, len, at);
  } else if (mode == CONTENT) {
    smtp_content(line, len, at);
  } else if (mode == AUTH) {
    taint(at, at + len);
    auth_reply("334 x", "235 ok", "535 no");
  } else {
    taint(at, at + len + 1);
  }
}

/* A mail in a mailbox, with LFs; the server makes CRLFs of them and stuffs dots. */
static const char *mail;
static size_t mail_len;

static void send_mail(void)
{
  bool in_body = false;

  reply("+OK");
  for (const char *p = mail, *end = mail + mail_len; p < end;) {
    const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
    if (*p == '.') {
      say(".", 1, false);
    }
    say(p, (size_t)(stop - p), in_body);
    if (stop == p || stop[-1] != '\r') {
      say("\r", 1, false);
    }
    say("\n", 1, false);
    in_body = in_body || ends_header(p, (size_t)(stop - p) - (stop > p && stop[-1] == '\r'));
    p = newline ? newline + 1 : end;
  }
  reply(".");
}

static void pop3_line(const char *line, size_t len, size_t at)
{
  if (len > 0 && line[len - 1] == '\r') {
    len--;
  }
  if (mode == AUTH) {
    taint(at, at + len);
    auth_reply("+ x", "+OK", "-ERR");
  } else if (is(line, len, "PASS")) {
    taint(at + (len > 4 ? 5 : 4), at + len);
    reply("+OK");
  } else if (is(line, len, "APOP")) {
    taint(at + behind_second_blank(line, len), at + len);
    reply("-ERR");
  } else if (is(line, len, "AUTH") && len > 4) {
    taint(at + behind_second_blank(line, len), at + len);
    auth_reply("+ x", "+OK", "-ERR");
  } else if (is(line, len, "RETR") || is(line, len, "TOP")) {
    send_mail();
  } else if ((is(line, len, "LIST") || is(line, len, "UIDL")) && len == 4) {
    reply("+OK");
    reply("1 2");
    reply(".");
  } else if (is(line, len, "USER") || is(line, len, "STAT") || is(line, len, "DELE") ||
             is(line, len, "NOOP") || is(line, len, "QUIT")) {
    reply("+OK");
  } else {
    reply("-ERR");
  }
}

/* --- the session */

static void serve(enum follow_protocol protocol, const char *p, size_t len)
{
  size_t line = 0;

  for (size_t at = 0; at < len;) {
    if (mode == CHUNK) {
      if (body) {
        taint(at, at + 1);
      }
      body = body || (p[at] == '\n' && at > 0 && p[at - 1] == '\n') ||
             (p[at] == '\n' && at > 2 && memcmp(p + at - 3, "\r\n\r", 3) == 0);
      line = ++at;
      if (--left == 0) {
        mode = COMMANDS;
        reply("250 ok");
      }
      continue;
    }
    if (p[at] == '\n') {
      (protocol == FOLLOW_SMTP ? smtp_line : pop3_line)(p + line, at - line, line);
      line = at + 1;
    }
    at++;
  }
  if (mode == TLS && line < len) {
    taint(line, len);
  }
}

/* What recordio sees: pieces of the client's, and answers, never before what they answer. */
static void record(enum follow_protocol protocol, const char *p, size_t len)
{
  size_t seen = 0;
  enum mode begin = mode;

  event('>', 0, s.out.bytes.len);
  s.out_done = s.out.bytes.len;
  (void)begin;
  while (seen < len) {
    size_t n = 1 + roll(200);
    n = n < len - seen ? n : len - seen;
    event('<', seen, seen + n);
    seen += n;
    /* The server reads what is there, in a run of its own over all so far. */
    if (roll(3) > 0 || seen == len) {
      uint32_t chance = s.chance;
      s.out.bytes.len = s.out.taint.len = 0;
      reply(protocol == FOLLOW_SMTP ? "220 x" : "+OK");
      memset(s.in.taint.data, 0, len);
      mode = COMMANDS;
      body = mid_line = false;
      s.chance = (uint32_t)len;
      serve(protocol, p, seen);
      s.chance = chance;
      event('>', s.out_done, s.out.bytes.len);
      s.out_done = s.out.bytes.len;
    }
  }
}

static char replaced(char c, bool tainted)
{
  return tainted && c != '\0' && c != '\r' && c != '\n' && c != '.' ? 'q' : c;
}

static const char *read_log(struct recorded *r, enum follow_protocol protocol, size_t piece,
                            bool replace)
{
  static struct outlet outlet;
  char bytes[65536];

  recorded_begin(r, protocol, &outlet, NULL, piece, 1);
  recorded_line(r, "tcpserver: pid 7 from 127.0.0.1");
  for (size_t i = 0; i < s.events_len; i++) {
    const struct event *e = &s.events[i];
    const struct said *said = e->direction == '<' ? &s.in : &s.out;
    size_t n = 0;
    for (size_t at = e->from; at < e->to && n < sizeof bytes; at++, n++) {
      bytes[n] = replaced(said->bytes.data[at], replace && said->taint.data[at]);
    }
    recorded_bytes(r, 7, e->direction, bytes, n);
  }
  return recorded_end(r);
}

static void require_same(const char *a, const char *b)
{
  if (strcmp(a, b) != 0) {
    fprintf(stderr, "--- one:\n%s--- other:\n%s", a, b);
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct recorded plain, other, bytes;
  const char *p = (const char *)data + 2;

  if (size < 3 || size > SIZE_MAX_INPUT) {
    return 0;
  }
  enum follow_protocol protocol = data[0] & 1 ? FOLLOW_POP3 : FOLLOW_SMTP;
  size_t len = size - 2;
  const char *end = protocol == FOLLOW_POP3 ? memchr(p, 0xff, len) : NULL;
  mail = end ? end + 1 : p;
  mail_len = end ? len - (size_t)(end + 1 - p) : len;
  len = end ? (size_t)(end - p) : len;
  s.in = s.out = (struct said){BUF_INIT(1 << 24), BUF_INIT(1 << 24)};
  s.events_len = s.out_done = 0;
  s.chance = data[1];
  lenient = data[0] & 2;
  buf_append(&s.in.bytes, p, len);
  buf_append(&s.in.taint, p, len);
  reply(protocol == FOLLOW_SMTP ? "220 x" : "+OK");
  record(protocol, p, len);

  const char *a = read_log(&plain, protocol, 256, false);
  require_same(a, read_log(&other, protocol, 256, true));
  require_same(a, read_log(&bytes, protocol, 1, false));
  buf_free(&plain.out);
  buf_free(&other.out);
  buf_free(&bytes.out);
  buf_free(&s.in.bytes);
  buf_free(&s.in.taint);
  buf_free(&s.out.bytes);
  buf_free(&s.out.taint);
  return 0;
}
