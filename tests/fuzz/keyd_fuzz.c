/*
 * The datagrams of run/keyd, both ways: what is taken as a request can be put
 * again and is the same, and what a getter points to lies in the datagram.
 */
#include "keyd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

static bool within(const struct keyd_bytes *b, const uint8_t *data, size_t size)
{
  return b->data >= data && b->data + b->len <= data + size;
}

static int put_again(struct buf *b, const struct keyd_request *q)
{
  switch (q->verb) {
  case 'C':
    return keyd_put_choose(b, q->name, q->kinds);
  case 'S':
    return keyd_put_sign(b, q->algorithm, q->parameters.data, q->parameters.len);
  case 'L':
    return keyd_put_load(b, q->session.id);
  default:
    return keyd_put_save(b, &q->session);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct buf b = BUF_INIT(65536);
  struct keyd_request q;
  struct keyd_chain c;
  struct keyd_bytes signature;
  struct keyd_session s;
  char text[KEYD_TEXT_SIZE];

  if (keyd_get_request((const char *)data, size, &q) == 0) {
    struct keyd_request again;

    require(put_again(&b, &q) == 0 && keyd_get_request(b.data, b.len, &again) == 0);
    require(again.verb == q.verb && again.kinds == q.kinds && again.algorithm == q.algorithm);
    require(strcmp(again.name, q.name) == 0 && again.parameters.len == q.parameters.len);
    require(memcmp(&again.session, &q.session, sizeof q.session) == 0);
    require(q.verb != 'S' || within(&q.parameters, data, size));
  }
  if (keyd_get_chain((const char *)data, size, &c, text) == 0) {
    require(c.count > 0 && c.count <= KEYD_CERTIFICATES_MAX);
    for (size_t i = 0; i < c.count; i++) {
      require(within(&c.certificates[i], data, size));
    }
  }
  if (keyd_get_signature((const char *)data, size, &signature, text) == 0) {
    require(signature.len <= KEYD_SIGNATURE_MAX && within(&signature, data, size));
  }
  keyd_get_session((const char *)data, size, &s, text);
  buf_free(&b);
  return 0;
}
