#ifndef TARPIT_H
#define TARPIT_H

#include "tool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * bench/tarpit's two halves: tarpit.c has the listeners, the counts and the
 * limits; tarpit_session.c speaks SMTP on one connection.
 */
enum step { BANNER, HELO, MAIL, RCPT, DATA, DOT, RSET, QUIT, STEPS };

struct settings {
  int64_t delay[STEPS]; /* microseconds before the reply */
  unsigned ceiling;     /* connections at once from one address, 0 for no limit */
  unsigned rate;        /* messages a second from one address, 0 for no limit */
  bool late;            /* one connection too many is told at MAIL, not in the banner */
  bool pipelining;
};
extern struct settings settings;

/* What is counted, for a client address at a listener, and for all of a listener. */
struct counts {
  unsigned now, peak;
  unsigned long connections, refused, messages, limited;
};

struct client {
  struct listener *listener;
  struct client *next; /* at the same listener */
  uint32_t address;    /* network order */
  char name[16];
  int64_t allowed; /* microseconds: when the next message keeps the rate, if it lies ahead */
  struct counts counts;
};

/* A connection that was accepted; refused: it will be told so at MAIL. */
void session_open(int fd, struct client *client, bool refused);

/* Called by sessions. */
void client_closed(struct client *client);
void client_refused(struct client *client);
bool client_may_send(struct client *client); /* counts and logs what it may not */
void client_message(struct client *client, const char *token, uint64_t bytes);

#define TOO_MANY "421 4.7.0 too many connections from your address\r\n"

#endif
