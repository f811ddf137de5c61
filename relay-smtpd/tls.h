#ifndef TLS_H
#define TLS_H

#include "keyring.h"
#include "tls_pump.h"

/*
 * The server's side of a TLS session, on the client's connection: BearSSL's
 * engine with the certificate, the signature and the resumable session asked
 * of relay-keyd. Meant to be static and not touched without TLS: its 130 KiB
 * are pages that cost nothing then.
 */
#define TLS_HANDSHAKE_MS 60000 /* for all of it, however it trickles */
#define TLS_GOODBYE_MS 1000

struct tls {
  struct tls_pump pump;
  br_ssl_server_context server;
  /* BearSSL calls us back through these, with their address. */
  const br_ssl_server_policy_class *policy;
  const br_ssl_session_cache_class *cache;
  struct keyring keyring;
  br_x509_certificate chain[KEYD_CERTIFICATES_MAX];
  bool resumed;
  char facts[TLS_FACTS_SIZE];  /* once established: "TLSv1.2,ECDHE-..." */
  char clause[TLS_FACTS_SIZE]; /* "tls TLS_ECDHE_..." */
  char problem[TLS_ERROR_SIZE + KEYRING_PROBLEM_SIZE + 3]; /* why it was not, for the log */
  unsigned char buffer[TLS_BUFFER_SIZE];
};

/* Prepares. 0, or -1 with t->problem: relay-keyd is not there, or no random bytes. */
int tls_prepare(struct tls *t, int in, int out);

/* The handshake. 0, or -1 with t->problem; an alert was sent if there is one. */
int tls_accept(struct tls *t, int64_t deadline);

/* Says goodbye and wipes. */
void tls_end(struct tls *t);

#endif
