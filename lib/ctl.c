#include "ctl.h"

#include <errno.h>
#include <string.h>

int ctl_put_request(struct buf *b, const struct ctl_request *q)
{
  if (netstring_put_str(b, q->verb) || netstring_put_str(b, q->kind) ||
      netstring_put_str(b, q->value) || netstring_put_u64(b, q->limit))
    return -1;
  return 0;
}

int ctl_get_request(const char *data, size_t len, struct ctl_request *q)
{
  struct netstring_reader r;

  memset(q, 0, sizeof *q);
  netstring_open(&r, data, len);
  netstring_get_str(&r, q->verb, sizeof q->verb);
  netstring_get_str(&r, q->kind, sizeof q->kind);
  netstring_get_str(&r, q->value, sizeof q->value);
  netstring_get_u64(&r, UINT64_MAX, &q->limit);
  if (netstring_end(&r)) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}
