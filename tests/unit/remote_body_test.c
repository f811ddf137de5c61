/* body.c: every short content over the dangerous bytes, split everywhere, and what may be on the
 * wire. */
#include "body.h"

#include "check.h"

#include <stdbool.h>
#include <stdlib.h>

/* Encodes in two pieces as content.c does: a plain piece goes as it is. */
static size_t encode(const char *in, size_t len, size_t split, char *out)
{
  struct body b;
  size_t n = 0, at = 0, piece;

  body_init(&b);
  while (at < len) {
    piece = (at < split ? split : len) - at;
    if (body_plain(&b, in + at, piece)) {
      memcpy(out + n, in + at, piece);
      n += piece;
    } else {
      n += body_encode(&b, in + at, piece, out + n);
    }
    at += piece;
  }
  return n + body_end(&b, out + n);
}

/* A receiver's view: CRLF lines, dots removed, CRLF.CRLF exactly at the end. */
static bool decode(const char *wire, size_t len, char *content, size_t *content_len)
{
  size_t at = 0, n = 0, end;

  while (at < len) {
    for (end = at; end < len && wire[end] != '\r' && wire[end] != '\n'; end++) {
    }
    if (end + 1 >= len || wire[end] != '\r' || wire[end + 1] != '\n') {
      return false; /* a lone CR or LF, or no line end */
    }
    if (end == at + 1 && wire[at] == '.') {
      *content_len = n;
      return end + 2 == len; /* the final dot, and nothing behind it */
    }
    at += wire[at] == '.';
    memcpy(content + n, wire + at, end + 2 - at);
    n += end + 2 - at;
    at = end + 2;
  }
  return false;
}

/* What the content should be for the receiver: bare LF is a line end, bare CR a blank. */
static size_t expect(const char *in, size_t len, char *out)
{
  size_t n = 0;

  for (size_t i = 0; i < len; i++) {
    if (in[i] == '\r' && i + 1 < len && in[i + 1] == '\n') {
      continue;
    }
    if (in[i] == '\r' && i + 1 < len) {
      out[n++] = ' ';
    } else if (in[i] == '\n' || in[i] == '\r') {
      memcpy(out + n, "\r\n", 2);
      n += 2;
    } else {
      out[n++] = in[i];
    }
  }
  if (n > 0 && out[n - 1] != '\n') {
    memcpy(out + n, "\r\n", 2);
    n += 2;
  }
  return n;
}

static void check_one(const char *in, size_t len, size_t split)
{
  char wire[4096], content[4096], wanted[4096];
  size_t n, got = 0, want;

  n = encode(in, len, split, wire);
  CHECK(n <= BODY_ROOM(len));
  CHECK(decode(wire, n, content, &got));
  want = expect(in, len, wanted);
  CHECK(got == want && memcmp(content, wanted, want) == 0);
}

int main(void)
{
  static const char alphabet[] = "\r\n.x";
  static const char *const texts[] = {
    "",  "Subject: x\r\n\r\n.\r\n..\r\n.x\r\n", "no end",        "\r",        "\n",
    ".", "a\r\n.\nMAIL FROM:<x@y>\r\n",         "a\n.\r\nb\r\n", "\r\r\n\r\n"};
  char s[200];

  /* All contents of up to 6 of these bytes, at all splits. */
  for (size_t len = 0; len <= 6; len++) {
    for (size_t code = 0; code < (size_t)1 << (2 * len); code++) {
      for (size_t i = 0; i < len; i++) {
        s[i] = alphabet[code >> (2 * i) & 3];
      }
      for (size_t split = 0; split <= len; split++) {
        check_one(s, len, split);
      }
    }
  }
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    for (size_t split = 0; split <= strlen(texts[i]); split++) {
      check_one(texts[i], strlen(texts[i]), split);
    }
  }
  /* An oddity at every place of a long line: the block-wise check misses none. */
  for (size_t at = 0; at + 1 < sizeof(s); at++) {
    for (const char *odd = "\r\n"; *odd; odd++) {
      memset(s, 'x', sizeof(s));
      s[at] = *odd;
      check_one(s, sizeof(s), 0);
      s[at + 1] = '.';
      check_one(s, sizeof(s), 0);
    }
  }
  return check_done("remote_body");
}
