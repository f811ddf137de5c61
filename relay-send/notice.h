#ifndef NOTICE_H
#define NOTICE_H

#include "message.h"

/*
 * Delivery status notifications: which are due, collecting them, asking
 * relay-queue for them (B), and what its answer (D) ends.
 */
#define NOTICE_COLLECT_MS 60000 /* recipients of a message that fail together are told together */

void notice_start(void);

/* The recipient will have no further outcome; with the last of its message, what is due goes out. */
void notice_settled(struct rcpt *r);

/* The timer of a recipient at RCPT_AT_DUE has expired. */
void notice_due(struct rcpt *r);

/* A delay DSN for this recipient, and for others of its message that it is time for. */
void notice_delay(struct rcpt *r);

/* D */
void notice_answer(uint64_t serial, bool ok);

#endif
