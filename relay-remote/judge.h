#ifndef JUDGE_H
#define JUDGE_H

#include "mxreply.h"
#include "verdict.h"

/*
 * The one module that turns replies and failures into verdicts. Permanent is
 * only a well-formed 5xx that speaks of this message or recipient, or a local
 * proof; all else is temporary. Each function fills verdict, stage, code,
 * status and reply; rcpt and host are the caller's. Pure.
 */

/* What the errors of wire.h mean here, beside those of the system. */
#define JUDGE_CLOSED ENOTCONN     /* the MX closed the connection */
#define JUDGE_GARBLED EBADMSG     /* a reply that mxreply.c could not take */
#define JUDGE_UNSOLICITED EPROTO  /* a reply to nothing */
#define JUDGE_TLS EILSEQ          /* the TLS layer has failed */
#define JUDGE_CANCELLED ECANCELED /* relay-send said X, or is gone */

/*
 * The reply to a command. others_accepted: this transaction has an accepted
 * recipient already, which makes 552 to RCPT "too many recipients" (RFC 5321
 * 4.5.3.1.10), unless its status speaks of the mailbox.
 */
void judge_reply(struct outcome *o, enum stage stage, const struct mxreply *r,
                 bool others_accepted);

/* A session that broke at this stage, by errno. */
void judge_trouble(struct outcome *o, enum stage stage, int error);

/* A local proof that it can never work (status "5..."), or a failure of our own ("4..."). */
void judge_local(struct outcome *o, enum stage stage, const char *status, const char *format, ...)
  __attribute__((format(printf, 4, 5)));

#endif
