#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include "tls_check.h"
#include "tls_pump.h"

/*
 * TLS with one MX: a handshake as a demand wants it, and what came of it. The
 * bytes then go through pump (wire.c). One for each worker; big, so static.
 */
struct tls_client {
  struct tls_pump pump;
  struct tls_check check;
  br_ssl_client_context ssl;
  unsigned char buffer[TLS_BUFFER_SIZE];
  bool resumed;
  char facts[TLS_FACTS_SIZE];        /* "TLSv1.2,ECDHE-RSA-AES128-GCM-SHA256,x25519" */
  char reason[WORK_TLS_REASON_SIZE]; /* why there is no TLS */
};

/*
 * Makes the engine ready, resuming demand->session if there is one, and opens
 * the pump over the socket; receive and send can be set then. 0, or -1 with
 * reason: no random bytes.
 */
int tls_client_open(struct tls_client *t, int fd, const struct work_tls *demand);

/* The handshake. 0, or -1 with reason (and errno ECANCELED if the wait was given up). */
int tls_client_handshake(struct tls_client *t, int64_t deadline);

/* The session for a next worker, if it is a new one that can be resumed: its length, or 0. */
uint32_t tls_client_session(const struct tls_client *t, unsigned char out[WORK_TLS_SESSION_MAX]);

#endif
