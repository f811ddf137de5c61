#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "message.h"

/*
 * Where a recipient goes next. In all of these it is nowhere before
 * (rcpt_detach(), or out of its job), and may be anywhere afterwards, its
 * message freed too.
 */
void schedule_start(void);

/* It may be tried now: to its domain, to its lane, or held. first: before all others of its flow. */
void schedule_now(struct rcpt *r, bool first);

/* It waits until a wall clock time. */
void schedule_at(struct rcpt *r, int64_t wall);

/* A new message's recipient, as relay-queue tells it. */
void schedule_told(struct rcpt *r, const struct dispatch_rcpt *told);

/* An operator's or a signal's retry: no back-off of it, its lane or its domain counts. */
void schedule_retry(struct rcpt *r);

/*
 * What keeps a ready one, or one at lookup, from being tried; NULL if nothing has failed, and it is only waiting for its turn.
 */
const struct outcome *schedule_obstacle(const struct rcpt *r);

int64_t schedule_expires(const struct message *m); /* wall clock */
/* Does it have a delay DSN coming, at schedule_delay_at()? */
bool schedule_delay_wanted(struct rcpt *r);
int64_t schedule_delay_at(const struct message *m);

#endif
