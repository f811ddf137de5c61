#include "intake.h"

#include "netstring.h"
#include "scan.h"

#include <errno.h>
#include <string.h>

int intake_put_hello(struct buf *b, const char *tenant, const char *client)
{
  if (netstring_put(b, "H", 1) || netstring_put_str(b, tenant) || netstring_put_str(b, client))
    return -1;
  return 0;
}

int intake_put_submit(struct buf *b, uint64_t envelope_len, uint64_t content_len, const char *name,
                      uint32_t through)
{
  if (netstring_put(b, "S", 1) || netstring_put_u64(b, envelope_len) ||
      netstring_put_u64(b, content_len) || netstring_put_str(b, name) ||
      netstring_put_u64(b, through))
    return -1;
  return 0;
}

int intake_put_big(struct buf *b)
{
  return netstring_put(b, "B", 1);
}

int intake_put_memory(struct buf *b, uint64_t bytes)
{
  return netstring_put(b, "P", 1) || netstring_put_u64(b, bytes) ? -1 : 0;
}

/* A name in queue/big/ is letters and digits of ours: never a path. */
static bool name_valid(const char *name)
{
  return strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
         strlen(name);
}

int intake_get_request(const char *data, size_t len, struct intake_request *q)
{
  struct netstring_reader r;
  uint64_t through = 0;

  memset(q, 0, sizeof *q);
  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &q->verb))
    return -1;
  switch (q->verb) {
  case 'H':
    netstring_get_str(&r, q->tenant, sizeof q->tenant);
    netstring_get_str(&r, q->client, sizeof q->client);
    break;
  case 'S':
    netstring_get_u64(&r, UINT32_MAX, &q->envelope_len);
    netstring_get_u64(&r, INTAKE_CONTENT_MAX, &q->content_len);
    netstring_get_str(&r, q->name, sizeof q->name);
    netstring_get_u64(&r, UINT32_MAX, &through);
    q->through = (uint32_t)through;
    break;
  case 'B':
    break;
  case 'P':
    netstring_get_u64(&r, INTAKE_CONTENT_MAX, &q->content_len);
    break;
  default:
    errno = EINVAL;
    return -1;
  }
  if (netstring_end(&r) || !name_valid(q->name)) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

int intake_put_answer(struct buf *b, const struct intake_answer *a)
{
  if (netstring_put(b, &a->verb, 1) || netstring_put_u64(b, (uint64_t)a->code) ||
      netstring_put_str(b, a->text))
    return -1;
  return 0;
}

int intake_get_answer(const char *data, size_t len, struct intake_answer *a)
{
  struct netstring_reader r;
  uint64_t code = 0;

  memset(a, 0, sizeof *a);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &a->verb);
  netstring_get_u64(&r, 599, &code);
  netstring_get_str(&r, a->text, sizeof a->text);
  a->code = (int)code;
  if (netstring_end(&r) || !strchr("+-V", a->verb) || (a->verb != '+' && code < 200)) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}
