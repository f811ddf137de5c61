#include "logrecord.h"

#include <string.h>

#define PID_DIGITS_MAX 9 /* more than any pid has; fits 32 bits */

/* A decimal number at *s; how many digits, 0 if there is none or it is too long. */
static size_t parse_pid(const char *s, size_t len, uint32_t *pid)
{
  uint32_t value = 0;
  size_t n = 0;

  while (n < len && s[n] >= '0' && s[n] <= '9') {
    if (n == PID_DIGITS_MAX) {
      return 0;
    }
    value = value * 10 + (uint32_t)(s[n++] - '0');
  }
  *pid = value;
  return n;
}

static void parse_mark(struct logrecord *r)
{
  r->mark = LOGRECORD_UNMARKED;
  r->bytes = r->len;
  if (r->direction == '=' || r->len == 0) {
    return;
  }
  switch (r->text[r->len - 1]) {
  case ' ':
    r->mark = LOGRECORD_NEWLINE;
    r->bytes--;
    return;
  case '+':
    r->mark = LOGRECORD_PIECE;
    r->bytes--;
    return;
  case ']':
    if (r->len == 5 && memcmp(r->text, "[EOF]", 5) == 0) {
      r->mark = LOGRECORD_EOF;
      r->bytes = 0;
    }
  }
}

/* "PID < text". */
static int parse_session(struct logrecord *r, const char *line, size_t len)
{
  size_t n = parse_pid(line, len, &r->pid);

  if (n == 0 || len - n < 3 || line[n] != ' ' || line[n + 2] != ' ') {
    return 0;
  }
  if (line[n + 1] != '<' && line[n + 1] != '>' && line[n + 1] != '=') {
    return 0;
  }
  r->kind = LOGRECORD_SESSION;
  r->direction = line[n + 1];
  r->text = line + n + 3;
  r->len = len - n - 3;
  parse_mark(r);
  return 1;
}

static void parse_tcpserver(struct logrecord *r, const char *line, size_t len)
{
  static const struct {
    const char *head;
    enum logrecord_kind kind;
  } forms[] = {
    {"tcpserver: pid ", LOGRECORD_BEGIN},
    {"tcpserver: ok ", LOGRECORD_BEGIN},
    {"tcpserver: end ", LOGRECORD_END},
  };

  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    size_t n = strlen(forms[i].head);
    if (len > n && memcmp(line, forms[i].head, n) == 0 &&
        parse_pid(line + n, len - n, &r->pid) > 0) {
      r->kind = forms[i].kind;
      return;
    }
  }
}

void logrecord_parse(struct logrecord *r, const char *line, size_t len)
{
  *r = (struct logrecord){.kind = LOGRECORD_FOREIGN, .text = line, .len = len, .bytes = len};
  if (len > 0 && line[0] == 't') {
    parse_tcpserver(r, line, len);
  } else {
    (void)parse_session(r, line, len);
  }
}

size_t logrecord_glued(const char *line, size_t len)
{
  for (size_t i = 1; i + 2 < len; i++) {
    size_t start = i;
    if ((line[i + 1] != '<' && line[i + 1] != '>') || line[i] != ' ' || line[i + 2] != ' ') {
      continue;
    }
    while (start > 0 && i - start < PID_DIGITS_MAX && line[start - 1] >= '0' &&
           line[start - 1] <= '9') {
      start--;
    }
    if (start < i) {
      return start;
    }
  }
  return len;
}
