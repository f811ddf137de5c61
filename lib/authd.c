#include "authd.h"

#include "envelope.h"
#include "netstring.h"

#include <errno.h>
#include <string.h>

int authd_put_request(struct buf *b, const struct authd_request *q)
{
  bool plain = q->verb == 'P';

  if (netstring_put(b, &q->verb, 1) || netstring_put_str(b, q->client) ||
      netstring_put_str(b, q->user) || netstring_put_str(b, plain ? q->password : q->challenge)) {
    return -1;
  }
  return plain ? 0 : netstring_put_str(b, q->response);
}

int authd_get_request(const char *data, size_t len, struct authd_request *q)
{
  struct netstring_reader r;

  memset(q, 0, sizeof *q);
  netstring_open(&r, data, len);
  netstring_get_char(&r, &q->verb);
  netstring_get_str(&r, q->client, sizeof q->client);
  netstring_get_str(&r, q->user, sizeof q->user);
  switch (q->verb) {
  case 'P':
    netstring_get_str(&r, q->password, sizeof q->password);
    break;
  case 'C':
    netstring_get_str(&r, q->challenge, sizeof q->challenge);
    netstring_get_str(&r, q->response, sizeof q->response);
    break;
  default:
    r.bad = true;
  }
  if (netstring_end(&r) || !envelope_tenant_valid(q->user, strlen(q->user)) ||
      !envelope_tenant_valid(q->client, strlen(q->client))) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}

int authd_put_answer(struct buf *b, char verb, const char *text)
{
  if (netstring_put(b, &verb, 1)) {
    return -1;
  }
  return verb == 'T' ? netstring_put_str(b, text) : 0;
}

int authd_get_answer(const char *data, size_t len, char *verb, char text[AUTHD_TEXT_SIZE])
{
  struct netstring_reader r;

  *verb = 0;
  *text = '\0';
  netstring_open(&r, data, len);
  netstring_get_char(&r, verb);
  if (*verb == 'T') {
    netstring_get_str(&r, text, AUTHD_TEXT_SIZE);
  }
  if (netstring_end(&r) || (*verb != '+' && *verb != '-' && *verb != 'T')) {
    errno = EINVAL;
    return -1;
  }
  return 0;
}
