#ifndef TLS_CHECK_H
#define TLS_CHECK_H

#include "work_tls.h"

#include <bearssl.h>

/*
 * The certificate of an MX, against what control/tlspolicy demands of it: an
 * X.509 class for BearSSL's engine that keeps the chain until it is whole and
 * then decides. Whatever the demand, the handshake proves that the peer has
 * the private key.
 *
 *   may, encrypt   any certificate with a key that BearSSL knows
 *   verify         BearSSL's own validation (RFC 5280, in the main), then names
 *   fingerprint    SHA-256 of the certificate or of its public key is a pin
 *   dane           RFC 7672 3.1: usage 3 by digest alone; usage 2: validation
 *                  up to the certificate of the chain that matches, then names
 *
 * RSA keys below 2048 bits fulfil nothing but may and encrypt. Where a chain is
 * validated, SHA-1 signatures and nameConstraints, which BearSSL does not apply,
 * fulfil nothing either. An anchor is a name and a key (RFC 5280 6.1.1 d): of
 * those in control/tlsca nothing else is looked at. The one that a usage 2
 * record names comes from the MX, so it must be a CA with a strong key and no
 * nameConstraints; its dates and path length do not count.
 */
#define TLS_CHAIN_SIZE 32768 /* bytes of certificates */
#define TLS_CHAIN_MAX 10     /* certificates */

enum tls_verified {
  TLS_VERIFIED_NOT = 'n',
  TLS_VERIFIED_CA = 'c',
  TLS_VERIFIED_PIN = 'p',
  TLS_VERIFIED_DANE_TA = '2',
  TLS_VERIFIED_DANE_EE = '3'
};

struct tls_check {
  const br_x509_class *vtable; /* first: what BearSSL knows of it */
  const struct work_tls *demand;
  bool seen; /* a chain was sent: the session is not a resumed one */
  bool overflow;
  unsigned char chain[TLS_CHAIN_SIZE];
  size_t ends[TLS_CHAIN_MAX]; /* of each certificate in chain */
  size_t count, len;
  br_x509_decoder_context leaf;
  const br_x509_pkey *key;
  enum tls_verified verified;
  char reason[WORK_TLS_REASON_SIZE]; /* why the demand is not fulfilled, "": it is */
};

void tls_check_init(struct tls_check *c, const struct work_tls *demand);

/* After a chain has come: does it fulfil another demand? Else reason says why not. */
bool tls_check_again(struct tls_check *c, const struct work_tls *demand);

/* "none", "ca", "fingerprint", "dane-ta", "dane-ee". */
const char *tls_verified_name(enum tls_verified v);

/* SHA-256 of the first certificate and of its public key. 0, or -1: it is malformed. */
int tls_check_fingerprints(const struct tls_check *c, unsigned char whole[WORK_TLS_PIN_SIZE],
                           unsigned char key[WORK_TLS_PIN_SIZE]);

/* One certificate of the chain. */
const unsigned char *tls_check_certificate(const struct tls_check *c, size_t i, size_t *len);

#endif
