#include "bounce.h"

#include "envelope.h"

#include <errno.h>
#include <string.h>

int bounce_put_job(struct buf *b, const struct bounce_job *j)
{
  if (netstring_put(b, &j->kind, 1) || netstring_put_u64(b, j->serial) ||
      netstring_put_u64(b, j->envelope_len) || netstring_put_u64(b, j->content_len) ||
      netstring_put_u64(b, (uint64_t)j->now) || netstring_put_u64(b, j->rcpt_count))
    return -1;
  return 0;
}

int bounce_get_job(struct netstring_reader *r, struct bounce_job *j)
{
  uint64_t now = 0, count = 0;

  memset(j, 0, sizeof *j);
  netstring_get_char(r, &j->kind);
  netstring_get_u64(r, UINT64_MAX, &j->serial);
  netstring_get_u64(r, ENVELOPE_MAX, &j->envelope_len);
  netstring_get_u64(r, INT64_MAX, &j->content_len);
  netstring_get_u64(r, INT64_MAX, &now);
  netstring_get_u64(r, ENVELOPE_RCPTS_MAX, &count);
  if (r->bad || !strchr("fds", j->kind)) {
    r->bad = true;
    errno = EINVAL;
    return -1;
  }
  j->now = (int64_t)now;
  j->rcpt_count = (uint32_t)count;
  return 0;
}

int bounce_put_rcpt(struct buf *b, const struct bounce_rcpt *r)
{
  if (outcome_put(b, &r->outcome) || netstring_put_u64(b, r->attempts) ||
      netstring_put_u64(b, (uint64_t)r->when))
    return -1;
  return 0;
}

int bounce_get_rcpt(struct netstring_reader *r, struct bounce_rcpt *rcpt)
{
  uint64_t attempts = 0, when = 0;

  outcome_get(r, &rcpt->outcome);
  netstring_get_u64(r, UINT32_MAX, &attempts);
  netstring_get_u64(r, INT64_MAX, &when);
  rcpt->attempts = (uint32_t)attempts;
  rcpt->when = (int64_t)when;
  return r->bad ? -1 : 0;
}

int bounce_put_answer(struct buf *b, const struct bounce_answer *a)
{
  if (netstring_put_u64(b, a->serial) || netstring_put_u64(b, (uint64_t)a->ok) ||
      netstring_put_u64(b, a->envelope_len) || netstring_put_u64(b, a->content_len) ||
      netstring_put_str(b, a->text))
    return -1;
  return 0;
}

int bounce_get_answer(const char *data, size_t len, struct bounce_answer *a)
{
  struct netstring_reader r;
  uint64_t ok = 0;

  memset(a, 0, sizeof *a);
  netstring_open(&r, data, len);
  netstring_get_u64(&r, UINT64_MAX, &a->serial);
  netstring_get_u64(&r, 2, &ok);
  netstring_get_u64(&r, ENVELOPE_MAX, &a->envelope_len);
  netstring_get_u64(&r, INT64_MAX, &a->content_len);
  netstring_get_str(&r, a->text, sizeof a->text);
  a->ok = (int)ok;
  return netstring_end(&r);
}
