#ifndef STARTTLS_H
#define STARTTLS_H

#include "session.h"

/*
 * STARTTLS (RFC 3207) after EHLO: as the demand wants it, or not at all, or
 * the reason why this host will not do. s->tls_result says what came of it.
 */
enum starttls {
  STARTTLS_DONE,   /* go on with MAIL; in TLS, or in clear text where that is allowed */
  STARTTLS_BROKEN, /* it did not work, and clear text is allowed: connect again without it */
  STARTTLS_FAILED  /* the outcome says why this host is not used */
};

enum starttls session_starttls(struct session *s, const struct work_tls *demand, struct outcome *o);

/* The outcome for a host that the demand bars. */
void starttls_barred(struct session *s, const struct work_tls *demand, struct outcome *o);

#endif
