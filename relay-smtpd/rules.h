#ifndef RULES_H
#define RULES_H

#include "address.h"
#include "control.h"
#include "envelope.h"
#include "ip.h"

#include <stdbool.h>
#include <stdint.h>

/* RELAYAUTH; offered only where passwords can be checked, by relay-authd. */
enum rules_auth {
  RULES_AUTH_NONE,
  RULES_AUTH_TLS,     /* inside TLS */
  RULES_AUTH_CLEAR,   /* without TLS too */
  RULES_AUTH_REQUIRE, /* inside TLS, and no MAIL before it */
};

/* RELAYTLS; offered only where control/servercert is, so that relay-keyd should be there. */
enum rules_tls {
  RULES_TLS_NONE,
  RULES_TLS_MAY,      /* STARTTLS is offered */
  RULES_TLS_REQUIRE,  /* no MAIL, no AUTH before it */
  RULES_TLS_IMMEDIATE /* from the first byte (port 465, RFC 8314) */
};

/*
 * Everything that control/ and the environment (tcprules, tcpserver) say about
 * this session, read once before the first byte from the network.
 */
struct rules {
  char me[ADDRESS_DOMAIN_MAX + 1];
  uint64_t databytes;            /* bytes of content that a message may have; always a limit */
  int64_t timeout_ms;            /* control/timeoutsmtpd */
  char postmaster[ADDRESS_SIZE]; /* "" if there is none */
  struct control_lookup *rcpthosts, *badmailfrom, *badrcptto; /* NULL: not there */

  struct ip client;                            /* family 0: unknown */
  char client_text[ENVELOPE_CLIENT_SIZE];      /* "192.0.2.1" or "unknown" */
  char client_port[6], local_ip[IP_TEXT_SIZE]; /* for the log; "" if unknown */
  char client_host[ADDRESS_DOMAIN_MAX + 1];    /* TCPREMOTEHOST, "" if unknown */

  bool relay;                      /* RELAYCLIENT is set */
  char suffix[ADDRESS_DOMAIN_MAX]; /* its value */
  char tenant[ENVELOPE_TENANT_SIZE];
  int priority;
  char source[ENVELOPE_SOURCE_SIZE];           /* RELAYSOURCE, "" if it is not set */
  bool transparent;                            /* RELAYMODE=transparent */
  char destination[ENVELOPE_DESTINATION_SIZE]; /* then: where the client meant to go */
  const char *denied;                          /* why it is served nothing; NULL: it is served */
  bool normalize; /* RELAYBARELF=normalize */
  enum rules_tls tls;
  enum rules_auth auth;
  bool cram; /* CRAM-MD5 is offered: there is control/authcram */
  uint32_t through;       /* RELAYTHROUGH, as envelope.through has it; 0: commit first */
  uint64_t through_bytes; /* control/throughbytes: of content that may stay in memory */
};

/* 0, or -1 with rules_error() a sentence that names the file or variable. */
int rules_load(struct rules *s);
const char *rules_error(void);
void rules_free(struct rules *s);

#endif
