#ifndef CHANNEL_H
#define CHANNEL_H

#include "loop.h"

#include <stddef.h>

/*
 * A SEQPACKET socket in a loop: non-blocking, with a bounded queue of outgoing
 * datagrams, so that no daemon ever blocks on a send. What channel_send()
 * takes is sent no later than channel_flush(), in order, several to a system
 * call. When the queue is over its bound the owner must stop reading what
 * causes more (channel_full(), channel_pause()).
 *
 * A datagram may hold secrets: the channel's copy is wiped when it is sent or
 * dropped, a received one when datagram() returns.
 */
#define CHANNEL_QUEUE_DATAGRAMS 4096
#define CHANNEL_QUEUE_BYTES (8 << 20)
#define CHANNEL_READS_PER_TURN 64 /* so that one busy peer does not hold the loop */

struct channel {
  struct loop_watch watch;
  struct loop *loop;
  /* One datagram; passed_fd is the callee's to close, -1 if none came. */
  void (*datagram)(struct channel *c, const char *data, size_t len, int passed_fd);
  /* End of file or a broken socket. The owner calls channel_close(). */
  void (*closed)(struct channel *c);
  /* The outgoing queue has fallen below half its bound after being full. May be NULL. */
  void (*drained)(struct channel *c);
  /* channel.c's own: */
  struct channel_datagram *head, *tail;
  size_t queued, queued_bytes;
  bool was_full, paused, broken;
};

/*
 * Takes the socket over and starts reading. The three callbacks are set before.
 * On -1 the socket is still the caller's, and channel_close(c) does nothing.
 */
int channel_open(struct channel *c, struct loop *loop, int fd);

/* Closes the socket, drops what is queued. Safe inside a callback. Does not free c. */
void channel_close(struct channel *c);

/*
 * Queues one datagram. passed_fd becomes the channel's, to be closed when it
 * is sent or dropped, also on failure; -1 for none. Returns 0, or -1 when
 * memory is out, the channel is closed, or the bound is exceeded twofold (a
 * bug of the owner). For a broken channel it drops and returns 0.
 */
int channel_send(struct channel *c, const void *data, size_t len, int passed_fd);

/*
 * Sends as much as the socket takes; call it in before_wait. 0, or -1 when the
 * socket is broken: closed() follows, from the loop, after what the peer sent
 * before. If too many descriptors are in flight (ETOOMANYREFS) the rest waits
 * for the next call, so whoever finds channel_stalled() then bounds its wait.
 */
int channel_flush(struct channel *c);

bool channel_full(const struct channel *c);
bool channel_empty(const struct channel *c);
bool channel_stalled(const struct channel *c); /* not empty, and no event will resume it */

/* Stops and starts reading from the peer. */
void channel_pause(struct channel *c, bool pause);

#endif
