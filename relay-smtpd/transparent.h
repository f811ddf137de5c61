#ifndef TRANSPARENT_H
#define TRANSPARENT_H

#include "envelope.h"
#include "ip.h"

/*
 * RELAYMODE=transparent: the server that the client meant to reach when the
 * packet filter redirected it to us (doc/transparent.md), and whether we go
 * there for it. Used before privileges and files are given up.
 */
struct transparent_place {
  struct ip ip; /* family 0: unknown */
  int port;
};

enum transparent_verdict {
  TRANSPARENT_OK,
  TRANSPARENT_DIRECT, /* it was not redirected: it meant us */
  TRANSPARENT_SELF,   /* it meant another address or port of this host */
  TRANSPARENT_LOCAL   /* loopback, link-local, multicast, ...: no place to send mail to */
};

/*
 * original: what the kernel remembers; here: the local end of the connection;
 * ours: original is an address of this host; listed: control/transparent
 * allows it whatever it is. Pure.
 */
enum transparent_verdict transparent_judge(const struct transparent_place *original,
                                           const struct transparent_place *here, bool ours,
                                           bool listed);

/*
 * Of the connection fd. 0, or -1 with a sentence in why (at most size bytes):
 * fd is no TCP connection, or control/ is malformed. destination becomes
 * "ADDRESS PORT" (envelope.h), "" after TRANSPARENT_DIRECT.
 */
int transparent_find(int fd, enum transparent_verdict *verdict,
                     char destination[ENVELOPE_DESTINATION_SIZE], char *why, size_t size);

#endif
