#ifndef OFFER_H
#define OFFER_H

#include "envelope.h"

#include <stdint.h>

/*
 * The command lines of a transaction. Pure. An address that cannot be part of
 * a command line (control bytes; the submitter checked, so never) fails with
 * EINVAL.
 */
struct smtp_offer {
  bool esmtp; /* EHLO was accepted */
  bool pipelining, size, eightbitmime, smtputf8, dsn, enhancedstatuscodes, starttls;
  uint64_t size_max; /* of SIZE, 0 for none told */
};

/* Takes one line of an EHLO reply, not the first, without its code. */
void offer_take(struct smtp_offer *offer, const char *line, size_t len);

/* RFC 5321 3.3, RFC 1870 6, RFC 6152, RFC 6531 3.4, RFC 3461 4.3 and 4.4: what is offered, no more.
 */
int offer_mail(struct buf *out, const struct envelope *e, const struct smtp_offer *offer,
               uint64_t content_len, bool has_8bit);

/* RFC 3461 4.1, 4.2 */
int offer_rcpt(struct buf *out, const struct envelope_rcpt *rcpt, const struct smtp_offer *offer);

#endif
