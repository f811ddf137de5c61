#ifndef TARPIT_H
#define TARPIT_H

#include "tool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * bench/tarpit's parts: tarpit.c has the listeners, the counts and the limits;
 * tarpit_session.c speaks SMTP on one connection; tarpit_tls.c is TLS below it.
 */
enum step { BANNER, HELO, STARTTLS, MAIL, RCPT, DATA, DOT, RSET, QUIT, STEPS };

struct settings {
  int64_t delay[STEPS]; /* microseconds before the reply */
  unsigned ceiling;     /* connections at once from one address, 0 for no limit */
  unsigned rate;        /* messages a second from one address, 0 for no limit */
  bool late;            /* one connection too many is told at MAIL, not in the banner */
  bool pipelining;
  bool tls; /* STARTTLS is offered */
};
extern struct settings settings;

/* What is counted, for a client address at a listener, and for all of a listener. */
struct counts {
  unsigned now, peak;
  unsigned long connections, refused, messages, limited, tls, resumed;
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
void client_secure(struct client *client, const char *version, bool resumed);

/*
 * The certificate (its chain below it) and its key in one PEM file; ends the
 * program when they cannot be used. resume: a session that a client has had
 * is resumed, by ticket or by id.
 */
struct ssl_st; /* OpenSSL's SSL */
void tls_prepare(const char *pem, bool resume);

/* A server's side of a connection; its handshake is part of the first reads. */
struct ssl_st *tls_accept(int fd);
ssize_t tls_read(struct ssl_st *tls, void *data, size_t len); /* as read(); EAGAIN: all is read */
bool tls_write_all(struct ssl_st *tls, const void *data, size_t len);
bool tls_is_open(const struct ssl_st *tls); /* the handshake is over */
bool tls_is_resumed(const struct ssl_st *tls);
const char *tls_version(const struct ssl_st *tls); /* "TLSv1.2" */
void tls_free(struct ssl_st *tls); /* says close_notify; the descriptor is the caller's */

#define TOO_MANY "421 4.7.0 too many connections from your address\r\n"

#endif
