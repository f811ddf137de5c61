#include "work_tls.h"

#include <string.h>

static int put_bytes(struct buf *b, const unsigned char *data, uint32_t len)
{
  return netstring_put(b, (const char *)data, len);
}

static void get_bytes(struct netstring_reader *r, unsigned char *out, size_t max, uint32_t *len)
{
  const char *data;
  size_t n;

  *len = 0;
  if (netstring_get(r, max, &data, &n) == 0) {
    memcpy(out, data, n);
    *len = (uint32_t)n;
  }
}

int work_put_tls(struct buf *b, const struct work_tls *t)
{
  const char kind = (char)t->kind;

  if (netstring_put(b, &kind, 1) == -1 || netstring_put_str(b, t->sni) == -1 ||
      netstring_put_str(b, t->names) == -1 || netstring_put_str(b, t->reason) == -1 ||
      put_bytes(b, t->pins, t->pins_len) == -1 || put_bytes(b, t->session, t->session_len) == -1) {
    return -1;
  }
  return 0;
}

/* Pins of the form that the kind needs; without any nothing could ever match. */
static bool pins_valid(const struct work_tls *t)
{
  struct tlsa_set set;

  if (t->kind == TLS_FINGERPRINT) {
    return t->pins_len > 0 && t->pins_len % WORK_TLS_PIN_SIZE == 0;
  }
  if (t->kind == TLS_DANE) {
    return t->pins_len > 0 && tlsa_decode(t->pins, t->pins_len, &set) == 0;
  }
  return t->pins_len == 0;
}

int work_get_tls(struct netstring_reader *r, struct work_tls *t)
{
  char kind = 0;

  memset(t, 0, sizeof(*t));
  netstring_get_char(r, &kind);
  netstring_get_str(r, t->sni, sizeof(t->sni));
  netstring_get_str(r, t->names, sizeof(t->names));
  netstring_get_str(r, t->reason, sizeof(t->reason));
  get_bytes(r, t->pins, sizeof(t->pins), &t->pins_len);
  get_bytes(r, t->session, sizeof(t->session), &t->session_len);
  t->kind = (enum tls_kind)kind;
  if (!r->bad && (!strchr("nmevfdx", kind) || !pins_valid(t))) {
    r->bad = true;
  }
  return r->bad ? -1 : 0;
}

int work_put_tls_result(struct buf *b, const struct work_tls_result *t)
{
  if (netstring_put_str(b, t->facts) == -1 || netstring_put_str(b, t->broken) == -1 ||
      put_bytes(b, t->session, t->session_len) == -1) {
    return -1;
  }
  return 0;
}

int work_get_tls_result(struct netstring_reader *r, struct work_tls_result *t)
{
  memset(t, 0, sizeof(*t));
  netstring_get_str(r, t->facts, sizeof(t->facts));
  netstring_get_str(r, t->broken, sizeof(t->broken));
  get_bytes(r, t->session, sizeof(t->session), &t->session_len);
  return r->bad ? -1 : 0;
}
