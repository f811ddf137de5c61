#ifndef RECEIVED_H
#define RECEIVED_H

#include "buf.h"
#include "ip.h"

#include <stdbool.h>
#include <stdint.h>

/* What our trace field says (RFC 5321 4.4). It never names a tenant. */
struct received {
  const char *helo;
  const struct ip *client; /* family 0: unknown */
  const char *client_host; /* "" if unknown */
  const char *me;
  const char *id;
  const char *only_rcpt; /* the one recipient, NULL if there are several */
  const char *tls;         /* the clause of that name (tls_engine.h); NULL: in clear */
  bool esmtp, smtputf8, auth;
  int64_t when; /* wall clock, ms */
};

/* Appends the field, folded, with CRLF. 0, or -1 with errno. */
int received_put(struct buf *b, const struct received *r);

/* Is this header field, unfolded, one that received_put() wrote on the host me? */
bool received_is_by(const char *field, size_t len, const char *me);

/* Copies a HELO name, each byte that could harm a log line or a header made "?". */
void received_clean_helo(const char *s, size_t len, char *out, size_t size);

#endif
