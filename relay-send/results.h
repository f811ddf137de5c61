#ifndef RESULTS_H
#define RESULTS_H

#include "message.h"

/*
 * What became of a recipient: told to relay-queue (R), counted, and acted on.
 * The recipient is nowhere before (out of its job, detached) and may be gone
 * afterwards, its message too.
 *
 * relayed: the MX offered no DSN, so a success that was to be notified is ours
 * to tell (RFC 3461 5.2.2).
 */
void results_take(struct rcpt *r, const struct outcome *outcome, bool relayed);

/* The same with an outcome of our own making: its rcpt is filled in, expiry is looked at. */
void results_local(struct rcpt *r, const struct outcome *outcome);

/* Only tells relay-queue why it is late; the recipient stays where it is. */
void results_note(struct rcpt *r, const struct outcome *outcome);

/* Would a failure of this recipient be notified to anybody? */
bool results_failure_wanted(struct rcpt *r);

/* Sends what is collected. Before every wait, and before anything that must come after. */
void results_flush(void);

#endif
