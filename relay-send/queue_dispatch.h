#ifndef QUEUE_DISPATCH_H
#define QUEUE_DISPATCH_H

#include "queue_core.h"

/* relay-queue's side of dispatch.h. */

/* Takes the socket over. Tells relay-send all of the queue, then E. 0 or -1. */
int dispatch_open(struct queue *q, int fd);
/* A new durable message; fd (-1 for a big one) is taken over. */
void dispatch_announce(struct queue *q, const struct index_message *m, const struct envelope *e,
                       int fd);
/* A message that is to be tried before it is durable; q->told. fd is taken over. */
void dispatch_announce_through(struct queue *q, const struct index_message *m,
                               const struct envelope *e, int fd);
/* P: results cannot be written, or can again. */
void dispatch_pause(struct queue *q, bool pause);
/* D */
void dispatch_bounced(struct queue *q, uint64_t serial, bool ok);
/* One datagram; broken sockets end the daemon by their closed(). fd is taken over. */
void dispatch_send(struct queue *q, struct buf *b, int fd);
void dispatch_stop(struct queue *q); /* relay-send is to end in order; then relay-queue does */

/* Writes a note down (anew). */
void dispatch_write_note(struct queue *q, struct index_note *n);

/* A record of what became of recipients is durable: forgets the message if it has ended. */
void dispatch_end_message(struct queue *q, struct index_message *m);

/* M datagrams of a message, each handed to put(). 0 or -1 (memory). */
int dispatch_tell(const struct index_message *m, const struct envelope *e,
                  int (*put)(void *arg, struct buf *b, bool last), void *arg);

#endif
