#ifndef TLSA_H
#define TLSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * TLSA records (RFC 6698, 7671, 7672), as they travel from DNS over the
 * resolver and relay-send to a worker. Usable are 2 and 3 (the certificate of
 * an authority, or of the host) 0 and 1 (whole certificate, public key) 1 and
 * 2 (SHA-256, SHA-512); usages 0 and 1 are not for SMTP (RFC 7672 3.1.3), and a
 * whole certificate in DNS (matching type 0) is not taken. Pure.
 */
#define TLSA_RECORDS_MAX 16 /* usable ones of a host; further ones are not looked at */
#define TLSA_DIGEST_MAX 64
#define TLSA_WIRE_MAX (TLSA_RECORDS_MAX * (3 + TLSA_DIGEST_MAX))

enum {
  TLSA_TA = 2,
  TLSA_EE = 3,
  TLSA_CERTIFICATE = 0,
  TLSA_KEY = 1,
  TLSA_SHA256 = 1,
  TLSA_SHA512 = 2
};

struct tlsa {
  unsigned char usage, selector, type;
  unsigned char digest[TLSA_DIGEST_MAX];
};

struct tlsa_set {
  struct tlsa records[TLSA_RECORDS_MAX];
  uint32_t count;
};

/* What DNS has said about a host's TLSA records. */
enum dane_status {
  DANE_UNASKED = '-',  /* no policy wants it, or the host has no name */
  DANE_INSECURE = 'i', /* MX, address or TLSA answer is not signed: as if there were none */
  DANE_NONE = 'n',     /* proven: there are none */
  DANE_RECORDS = 'r',
  DANE_UNUSABLE = 'u', /* there are some, of none of the kinds above: TLS without a check */
  DANE_FAILED = 't',   /* bogus, or no answer: the host is not to be used */
  DANE_REMOTE = 'l'    /* the DNS server is not on this host, so its word proves nothing */
};

bool dane_valid(char c);

/* The bytes of the digest, 0 for a matching type that is not usable. */
size_t tlsa_digest_size(unsigned char type);

/* Takes a record's RDATA. True if it is usable; it is then in the set, if that has room. */
bool tlsa_take(struct tlsa_set *set, const unsigned char *rdata, size_t len);

/* RFC 7671 9: where a usage and selector has SHA-512, its SHA-256 records do not count. */
void tlsa_prefer_strongest(struct tlsa_set *set);

/* The set as bytes: usage, selector, type, digest of each. */
size_t tlsa_encode(const struct tlsa_set *set, unsigned char out[TLSA_WIRE_MAX]);
/* 0, or -1: not what tlsa_encode() makes. */
int tlsa_decode(const unsigned char *data, size_t len, struct tlsa_set *set);

#endif
