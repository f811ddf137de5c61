/* Replies of an MX, from untrusted bytes to a code and a text. */
#include "mxreply.h"

#include "scan.h"

#include <string.h>

void mxreply_reset(struct mxreply *r)
{
  r->code = 0;
  r->lines = 0;
  r->text_len = 0;
  r->line_len = 0;
  r->bytes = 0;
  r->line_complete = false;
  r->ended = false;
}

const char *mxreply_line_text(const struct mxreply *r, size_t *len)
{
  size_t skip = r->line_len > 4 ? 4 : r->line_len;

  *len = r->line_len - skip;
  return r->line + skip;
}

static void add_text(struct mxreply *r, const char *s, size_t len)
{
  size_t room = sizeof(r->text) - r->text_len;

  len = len < room ? len : room;
  memcpy(r->text + r->text_len, s, len);
  r->text_len += len;
}

static void join_text(struct mxreply *r)
{
  const char *s;
  size_t len;

  if (r->lines == 1) {
    add_text(r, r->line, 3);
  }
  s = mxreply_line_text(r, &len);
  if (len > 0) {
    add_text(r, " ", 1);
    add_text(r, s, len);
  }
}

/*
 * A complete line. A second digit over 5 is not in RFC 5321 4.2.1 but in use
 * (571); other classes than 2 to 5 are not, nor are lines of different codes.
 */
static enum mxreply_result take_line(struct mxreply *r)
{
  const char *s = r->line;
  int code;

  if (r->line_len > 0 && s[r->line_len - 1] == '\r') {
    r->line_len--;
  }
  if (r->line_len < 3 || scan_digits(s, 3) != 3 || s[0] < '2' || s[0] > '5') {
    return MXREPLY_GARBLED;
  }
  if (r->line_len > 3 && s[3] != ' ' && s[3] != '-') {
    return MXREPLY_GARBLED;
  }
  code = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
  if (r->lines > 0 && code != r->code) {
    return MXREPLY_GARBLED;
  }
  r->code = code;
  r->lines++;
  join_text(r);
  r->ended = r->line_len == 3 || s[3] == ' ';
  if (!r->ended && r->lines == MXREPLY_LINES_MAX) {
    return MXREPLY_GARBLED;
  }
  return r->ended ? MXREPLY_DONE : MXREPLY_LINE;
}

enum mxreply_result mxreply_feed(struct mxreply *r, const char *data, size_t len, size_t *used)
{
  const char *end = memchr(data, '\n', len);
  size_t n = end ? (size_t)(end - data) : len;

  if (r->line_complete) {
    r->line_complete = false;
    r->line_len = 0;
  }
  *used = end ? n + 1 : n;
  r->bytes += *used;
  if (r->ended || n > sizeof(r->line) - r->line_len || r->bytes > MXREPLY_BYTES_MAX) {
    return MXREPLY_GARBLED;
  }
  memcpy(r->line + r->line_len, data, n);
  r->line_len += n;
  if (!end) {
    return MXREPLY_MORE;
  }
  r->line_complete = true;
  return take_line(r);
}
