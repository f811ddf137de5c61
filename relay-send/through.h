#ifndef THROUGH_H
#define THROUGH_H

#include "message.h"

/*
 * Through: messages that are tried while their submitter waits for the MX's own
 * answer, and that are not durable yet (dispatch.h tells the rules). They are
 * scheduled like all others; what is special is when waiting ends:
 *
 *   no connection free for THROUGH_SLOT_MS, or none to be expected so soon; a
 *   lane or domain in trouble, a hold; or the submitter's seconds are over: T,
 *   and everything but running attempts is parked until relay-queue has
 *   committed it (C 1).
 *
 *   With ENVELOPE_THROUGH_ONLY it waits for a connection until its deadline; a
 *   running attempt is cancelled then unless its final dot is out, which is
 *   waited for up to THROUGH_LAST_MS from the submitter's own dot.
 *
 * C 0 ends it wherever it is: attempts are cancelled, nothing is told of it.
 */
#define THROUGH_SLOT_MS 100    /* a busy MX often has a connection free sooner than a disk syncs */
#define THROUGH_LAST_MS 540000 /* below the 10 minutes that a client waits: RFC 5321 4.5.3.2.6 */

void through_start(void);

/* m is new, its recipients in no place yet. through as in dispatch.h. */
void through_begin(struct message *m, uint32_t through);

/* One of its recipients has come to a place where it waits. */
void through_touch(struct message *m);
/* One of them is deferred, as R says: relay-queue commits without being asked. */
void through_deferred(struct message *m);
/* The message is about to be freed. */
void through_forget(struct message *m);

/* After lanes_run(): looks at those that were touched. */
void through_turn(void);

/* C */
void through_answer(uint64_t serial, bool durable);

/* No new work: each is to be committed, or refused. */
void through_stop(void);

#endif
