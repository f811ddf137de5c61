#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include "control.h"

#include <bearssl.h>

/*
 * The authorities that "verify" trusts: control/tlsca (certificates in PEM),
 * else the system's. Loaded once in the master, before it forks: 144 of them
 * take some 45 ms, and workers share the pages and can open no file.
 */
#define TLS_TRUST_SYSTEM "/etc/ssl/certs/ca-certificates.crt"

/* Without a file of the system's there are none, and nothing verifies. For failures:
 * control_error(). */
enum control_result tls_trust_load(void);

const br_x509_trust_anchor *tls_trust_anchors(size_t *count);

/*
 * A certificate as an anchor of its own, in the caller's memory: BearSSL's
 * decoder, which the key points into, and room for the subject. 0, or
 * BearSSL's error.
 */
struct tls_anchor {
  br_x509_trust_anchor anchor;
  br_x509_decoder_context decoder;
  unsigned char dn[2048];
  size_t dn_len;
};
unsigned tls_anchor_make(struct tls_anchor *a, const unsigned char *der, size_t len);

#endif
