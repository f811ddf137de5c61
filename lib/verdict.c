#include "verdict.h"

#include "scan.h"

#include <errno.h>
#include <string.h>

bool verdict_valid(char c)
{
  return c && strchr("dtfx", c);
}

bool stage_valid(char c)
{
  return c && strchr("-cbhtmrd.", c);
}

int outcome_put(struct buf *b, const struct outcome *o)
{
  const char letters[2] = {(char)o->verdict, (char)o->stage};

  if (netstring_put_u64(b, o->rcpt) || netstring_put(b, letters, 2) ||
      netstring_put_u64(b, (uint64_t)o->code) || netstring_put_str(b, o->status) ||
      netstring_put_str(b, o->host) || netstring_put_str(b, o->reply))
    return -1;
  return 0;
}

int outcome_get(struct netstring_reader *r, struct outcome *o)
{
  uint64_t rcpt, code;
  const char *letters;
  size_t len;

  if (netstring_get_u64(r, UINT32_MAX, &rcpt) || netstring_get(r, 2, &letters, &len) ||
      netstring_get_u64(r, 599, &code) || netstring_get_str(r, o->status, sizeof o->status) ||
      netstring_get_str(r, o->host, sizeof o->host) ||
      netstring_get_str(r, o->reply, sizeof o->reply))
    return -1;
  if (len != 2 || !verdict_valid(letters[0]) || !stage_valid(letters[1])) {
    r->bad = true;
    errno = EINVAL;
    return -1;
  }
  o->rcpt = (uint32_t)rcpt;
  o->code = (int)code;
  o->verdict = (enum verdict)letters[0];
  o->stage = (enum stage)letters[1];
  return 0;
}

/* RFC 3463 2: class "." subject "." detail, each number of at most three digits. */
size_t status_scan(const char *text, size_t len, int code)
{
  size_t subject, detail, used;

  if (len < 5 || text[0] != '0' + code / 100 || text[1] != '.')
    return 0;
  subject = scan_digits(text + 2, len - 2);
  if (subject < 1 || subject > 3 || 2 + subject >= len || text[2 + subject] != '.')
    return 0;
  used = 3 + subject;
  detail = scan_digits(text + used, len - used);
  if (detail < 1 || detail > 3)
    return 0;
  used += detail;
  return used == len || text[used] == ' ' ? used : 0;
}
