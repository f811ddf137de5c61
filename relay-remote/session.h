#ifndef SESSION_H
#define SESSION_H

#include "offer.h"
#include "wire.h"
#include "work_tls.h"

struct tls_client;

/*
 * A worker's life as an SMTP client: one connection, transaction after
 * transaction. connect.c makes it, smtp.c uses it, worker.c keeps it.
 */
struct session {
  struct wire wire;
  struct loglines log;
  int64_t lines_since; /* no line in it is older */
  struct work_open open;
  struct work_tls tls[WORK_HOSTS_MAX]; /* what is demanded of open.hosts */
  struct mxreply reply;
  struct smtp_offer offer;      /* what EHLO offered */
  char host[OUTCOME_HOST_SIZE]; /* who answers, "mx.example.com[192.0.2.1]" */
  uint32_t connected;           /* which of open.hosts */
  struct work_tls_result tls_result; /* of the last host tried */
  struct tls_client *client;         /* its handshake, NULL if there was none */
  char ip_text[IP_TEXT_SIZE];
  bool used;       /* a transaction has been tried on this connection */
  bool needs_rset; /* the MX is inside a transaction that we gave up */
  bool usable;     /* the connection can take another transaction */
};

/*
 * Connects to the first host that gives a session, with banner and EHLO. 0, or
 * -1 with the outcome that tells of every address.
 */
int session_connect(struct session *s, struct outcome *outcome);

/* EHLO, or HELO if that is all it knows. 0, or -1 with the outcome. */
int session_hello(struct session *s, struct outcome *o);

/* The extensions as the O answer lists them: "PIPELINING SIZE=10240000 DSN". */
void session_extensions(const struct session *s, char *out, size_t size);

/* Reads a reply; seconds are for the whole of it. *ms, if not NULL: how long it took. */
int session_reply(struct session *s, uint32_t seconds, int64_t *ms);

/* Logs and writes command lines. */
int session_send(struct session *s, const char *lines, size_t len, uint32_t seconds);

/* QUIT, without waiting long for the answer. */
void session_quit(struct session *s);

/* The job in s->wire: does it and tells relay-send R and E. */
void session_transaction(struct session *s);

#endif
