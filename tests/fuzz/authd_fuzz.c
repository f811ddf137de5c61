/*
 * The datagrams of run/authd, and the messages of AUTH: a name that is taken
 * is a tenant's, a secret has no NUL, and a request that is taken is put again
 * as the same bytes, and is one that the half of relay-authd which is root takes
 * too. The input's first byte says which parser.
 */
#include "authd_ask.h"
#include "envelope.h"
#include "sasl.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
  if (!condition) {
    abort();
  }
}

static void datagrams(const char *data, size_t size)
{
  struct authd_request q;
  struct authd_ask ask;
  struct buf b = BUF_INIT(65536);
  char verb, text[AUTHD_TEXT_SIZE];

  if (authd_get_request(data, size, &q) == 0) {
    require(envelope_tenant_valid(q.user, strlen(q.user)));
    require(authd_put_request(&b, &q) == 0 && b.len == size && memcmp(b.data, data, size) == 0);
    for (int first = 0; first < 2; first++) {
      require(!authd_ask_fill(&ask, &q, first) || authd_ask_valid(&ask, sizeof ask));
    }
  }
  if (size >= sizeof ask) {
    memcpy(&ask, data, sizeof ask);
    require(!authd_ask_valid(&ask, (ssize_t)size) || strlen(ask.input) < AUTHD_USER_SIZE);
  }
  if (authd_get_answer(data, size, &verb, text) == 0) {
    require(verb == '+' || verb == '-' || verb == 'T');
  }
  buf_free(&b);
}

static void messages(const char *data, size_t size, int which)
{
  static const char *(*const parsers[])(const char *, size_t, struct authd_request *) = {
    sasl_plain, sasl_login_user, sasl_login_password, sasl_cram_md5};
  struct authd_request q;
  const char *wrong;

  memset(&q, 0, sizeof q);
  wrong = parsers[which](data, size, &q);
  require(!wrong || wrong[0] == '5');
  require(wrong || which == 2 || envelope_tenant_valid(q.user, strlen(q.user)));
  require(strlen(q.password) < sizeof q.password && strlen(q.response) < sizeof q.response);
}

static void base64(const char *data, size_t size)
{
  char out[SASL_MESSAGE_MAX], *again;
  size_t len;

  if (sasl_base64_decode(data, size, out, sizeof out, &len)) {
    again = malloc(4 * ((len + 2) / 3) + 1);
    if (again) {
      sasl_base64_encode(out, len, again);
      require(strlen(again) == size && memcmp(again, data, size) == 0);
      free(again);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *s = (const char *)data + 1, *initial;
  size_t len;

  if (size == 0) {
    return 0;
  }
  switch (data[0] % 8) {
  case 0:
    base64(s, size - 1);
    break;
  case 1:
    sasl_parse(s, size - 1, &initial, &len);
    require(!initial || (initial > s && initial + len == s + size - 1));
    break;
  case 2:
  case 3:
    datagrams(s, size - 1);
    break;
  default:
    messages(s, size - 1, data[0] % 4);
  }
  return 0;
}
