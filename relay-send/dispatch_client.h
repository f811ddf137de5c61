#ifndef DISPATCH_CLIENT_H
#define DISPATCH_CLIENT_H

#include "message.h"

/* relay-send's end of the channel to relay-queue (dispatch.h). */
int dispatch_client_open(int fd); /* 0 or -1 */

/* Queues a datagram; fd as in channel_send(). */
void dispatch_client_send(const struct buf *b, int fd);
void dispatch_client_flush(void);

/* What causes results must stop for a while. */
bool dispatch_client_full(void);
bool dispatch_client_empty(void);
bool dispatch_client_stalled(void);

void dispatch_client_fetch(uint64_t serial);                                   /* G */
void dispatch_client_last(uint64_t token, uint64_t serial, uint32_t rcpt);     /* Y */

/*
 * The fd that came with a new message, if its first attempt starts within
 * some seconds: the caller's, -1 if there is none (any more). What nobody has
 * taken is closed by dispatch_client_turn(), which says when to call it again
 * (ms, -1: never).
 */
int dispatch_client_fresh(uint64_t serial);
int dispatch_client_turn(void);

#endif
