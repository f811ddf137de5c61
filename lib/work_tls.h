#ifndef WORK_TLS_H
#define WORK_TLS_H

#include "netstring.h"
#include "tlsa.h"

/*
 * What a connection to one host must be like, as relay-send tells it to a
 * worker: part of the O of work.h, one for each of its hosts. What it says has
 * been made of control/tlspolicy, the domain, the host and its TLSA records
 * (tlspolicy.h), so that a worker decides nothing but whether it is fulfilled.
 */
enum tls_kind {
  TLS_NONE = 'n',        /* never TLS */
  TLS_MAY = 'm',         /* TLS if it can be had, unverified; else clear text */
  TLS_ENCRYPT = 'e',     /* TLS, unverified */
  TLS_VERIFY = 'v',      /* TLS, a chain to a known authority, one of names */
  TLS_FINGERPRINT = 'f', /* TLS, certificate or public key is one of pins */
  TLS_DANE = 'd',        /* TLS, one of the TLSA records matches */
  TLS_BARRED = 'x'       /* the host is not to be used at all: reason */
};

#define WORK_TLS_NAMES_SIZE 1400 /* one line of control/tlspolicy, and a domain */
#define WORK_TLS_REASON_SIZE 256
#define WORK_TLS_PINS_MAX TLSA_WIRE_MAX
#define WORK_TLS_PIN_SIZE 32     /* SHA-256 */
#define WORK_TLS_SESSION_MAX 256 /* bytes; relay-remote's own format */

struct work_tls {
  enum tls_kind kind;
  char sni[256];                     /* the name to send, "" for none */
  char names[WORK_TLS_NAMES_SIZE];   /* verify, dane: separated by blanks; ".suffix": any below */
  char reason[WORK_TLS_REASON_SIZE]; /* barred: why. may: why TLS is not tried now, "": it is */
  unsigned char pins[WORK_TLS_PINS_MAX]; /* fingerprint: SHA-256s. dane: tlsa_encode() */
  uint32_t pins_len;
  unsigned char session[WORK_TLS_SESSION_MAX]; /* to be resumed, if len > 0 */
  uint32_t session_len;
};

int work_put_tls(struct buf *b, const struct work_tls *t);
int work_get_tls(struct netstring_reader *r, struct work_tls *t);

/* What became of it, part of a worker's O. */
struct work_tls_result {
  char facts[128];                   /* "TLSv1.2,ECDHE_RSA_AES128_GCM_SHA256,x25519", "none" */
  char broken[WORK_TLS_REASON_SIZE]; /* why TLS did not work with this host, "": it did */
  unsigned char session[WORK_TLS_SESSION_MAX]; /* one that is not known yet, if len > 0 */
  uint32_t session_len;
};

int work_put_tls_result(struct buf *b, const struct work_tls_result *t);
int work_get_tls_result(struct netstring_reader *r, struct work_tls_result *t);

#endif
