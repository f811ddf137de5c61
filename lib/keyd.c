#include "keyd.h"

#include "netstring.h"

#include <errno.h>
#include <string.h>

static int put_bytes(struct buf *b, const unsigned char *data, size_t len)
{
  return netstring_put(b, (const char *)data, len);
}

/* A field of exactly len bytes. */
static void get_exactly(struct netstring_reader *r, unsigned char *to, size_t len)
{
  const char *data;
  size_t have;

  if (netstring_get(r, len, &data, &have) == 0 && have == len) {
    memcpy(to, data, len);
  } else {
    r->bad = true;
  }
}

static void get_bytes(struct netstring_reader *r, size_t max, struct keyd_bytes *to)
{
  const char *data;

  if (netstring_get(r, max, &data, &to->len) == 0) {
    to->data = (const unsigned char *)data;
  }
}

static unsigned get_number(struct netstring_reader *r, unsigned max)
{
  uint64_t value = 0;

  netstring_get_u64(r, max, &value);
  return (unsigned)value;
}

static int end(const struct netstring_reader *r)
{
  if (netstring_end(r)) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

bool keyd_parameters_valid(const unsigned char *p, size_t len)
{
  static const struct {
    unsigned char curve, point;
  } curves[] = {{29, 32}, {23, 65}, {24, 97}}; /* x25519, P-256, P-384: RFC 8422 5.1.1 */
  const unsigned char *q = p + KEYD_RANDOMS;

  for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
    if (len == KEYD_RANDOMS + 4U + curves[i].point && q[0] == 3 && q[1] == 0 &&
        q[2] == curves[i].curve && q[3] == curves[i].point) {
      return curves[i].curve == 29 || q[4] == 4; /* uncompressed */
    }
  }
  return false;
}

int keyd_put_load(struct buf *b, const unsigned char id[32])
{
  return netstring_put(b, "L", 1) || put_bytes(b, id, 32) ? -1 : 0;
}

int keyd_put_choose(struct buf *b, const char *server_name, unsigned kinds)
{
  return netstring_put(b, "C", 1) || netstring_put_str(b, server_name) ||
             netstring_put_u64(b, kinds)
           ? -1
           : 0;
}

int keyd_put_sign(struct buf *b, unsigned algorithm, const unsigned char *parameters, size_t len)
{
  return netstring_put(b, "S", 1) || netstring_put_u64(b, algorithm) ||
             put_bytes(b, parameters, len)
           ? -1
           : 0;
}

static int put_parameters(struct buf *b, const struct keyd_session *s)
{
  return netstring_put_u64(b, s->version) || netstring_put_u64(b, s->suite) ||
             put_bytes(b, s->secret, sizeof s->secret)
           ? -1
           : 0;
}

static void get_parameters(struct netstring_reader *r, struct keyd_session *s)
{
  s->version = get_number(r, 0xffff);
  s->suite = get_number(r, 0xffff);
  get_exactly(r, s->secret, sizeof s->secret);
}

int keyd_put_save(struct buf *b, const struct keyd_session *s)
{
  return netstring_put(b, "K", 1) || put_bytes(b, s->id, sizeof s->id) || put_parameters(b, s) ? -1
                                                                                               : 0;
}

int keyd_get_request(const char *data, size_t len, struct keyd_request *q)
{
  struct netstring_reader r;

  memset(q, 0, sizeof *q);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &q->verb);
  switch (q->verb) {
  case 'C':
    netstring_get_str(&r, q->name, sizeof q->name);
    q->kinds = get_number(&r, KEYD_RSA | KEYD_P256 | KEYD_P384);
    break;
  case 'S':
    q->algorithm = get_number(&r, 0xffff);
    get_bytes(&r, KEYD_PARAMETERS_MAX, &q->parameters);
    r.bad = r.bad || !keyd_parameters_valid(q->parameters.data, q->parameters.len);
    break;
  case 'L':
    get_exactly(&r, q->session.id, sizeof q->session.id);
    break;
  case 'K':
    get_exactly(&r, q->session.id, sizeof q->session.id);
    get_parameters(&r, &q->session);
    break;
  default:
    r.bad = true;
  }
  return end(&r);
}

int keyd_put_refusal(struct buf *b, const char *text)
{
  return netstring_put(b, "-", 1) || netstring_put_str(b, text) ? -1 : 0;
}

int keyd_put_chain(struct buf *b, unsigned kind, const struct keyd_bytes *certificates, size_t n)
{
  if (netstring_put(b, "+", 1) || netstring_put_u64(b, kind) || netstring_put_u64(b, n)) {
    return -1;
  }
  for (size_t i = 0; i < n; i++) {
    if (put_bytes(b, certificates[i].data, certificates[i].len)) {
      return -1;
    }
  }
  return 0;
}

int keyd_put_signature(struct buf *b, const unsigned char *signature, size_t len)
{
  return netstring_put(b, "+", 1) || put_bytes(b, signature, len) ? -1 : 0;
}

int keyd_put_session(struct buf *b, const struct keyd_session *s)
{
  return netstring_put(b, "+", 1) || put_parameters(b, s) ? -1 : 0;
}

/* The verb of an answer: 0 if the rest is to be read, 1 refused, -1 neither. */
static int open_answer(struct netstring_reader *r, const char *data, size_t len,
                       char text[KEYD_TEXT_SIZE])
{
  char verb = 0;

  *text = '\0';
  netstring_open(r, data, len);
  netstring_get_char(r, &verb);
  if (verb == '+') {
    return 0;
  }
  if (verb == '-') {
    netstring_get_str(r, text, KEYD_TEXT_SIZE);
    return end(r) == 0 ? 1 : -1;
  }
  return -1;
}

int keyd_get_chain(const char *data, size_t len, struct keyd_chain *c, char text[KEYD_TEXT_SIZE])
{
  struct netstring_reader r;
  int result = open_answer(&r, data, len, text);

  *c = (struct keyd_chain){.kind = 0};
  if (result != 0) {
    return result;
  }
  c->kind = get_number(&r, KEYD_P384);
  c->count = get_number(&r, KEYD_CERTIFICATES_MAX);
  for (size_t i = 0; i < c->count; i++) {
    get_bytes(&r, KEYD_CHAIN_MAX, &c->certificates[i]);
  }
  if (c->kind == 0 || (c->kind & (c->kind - 1)) || c->count == 0) {
    r.bad = true; /* one kind, and something to show for it */
  }
  return end(&r);
}

int keyd_get_signature(const char *data, size_t len, struct keyd_bytes *signature,
                       char text[KEYD_TEXT_SIZE])
{
  struct netstring_reader r;
  int result = open_answer(&r, data, len, text);

  *signature = (struct keyd_bytes){.len = 0};
  if (result != 0) {
    return result;
  }
  get_bytes(&r, KEYD_SIGNATURE_MAX, signature);
  if (signature->len == 0) {
    r.bad = true;
  }
  return end(&r);
}

int keyd_get_session(const char *data, size_t len, struct keyd_session *s,
                     char text[KEYD_TEXT_SIZE])
{
  struct netstring_reader r;
  int result = open_answer(&r, data, len, text);

  if (result != 0) {
    return result;
  }
  get_parameters(&r, s);
  return end(&r);
}
