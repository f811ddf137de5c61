#ifndef QUEUE_TELL_H
#define QUEUE_TELL_H

#include "queue_core.h"

/*
 * At start relay-send is told all notes and all of the queue, then E. The
 * disk thread reads the envelopes again, some hundred at a time, while
 * channel and intake go on; what is committed meanwhile is told at the end.
 */
int tell_start(struct queue *q);
void tell_add(struct queue *q, uint64_t serial);
/* Goes on when the channel has room. */
void tell_run(struct queue *q);

#endif
