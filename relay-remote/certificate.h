#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The parts of an X.509 certificate (RFC 5280 4.1) that BearSSL does not hand
 * out: the public key as it is digested, all of its names, whether it
 * restricts names. Reads DER from strangers; points into it; proves nothing
 * (tls_check.c does). Pure.
 */
struct der {
  const unsigned char *data;
  size_t len;
};

#define CERTIFICATE_DATE_SIZE 11

struct certificate {
  struct der whole;
  struct der key;             /* SubjectPublicKeyInfo */
  struct der issuer, subject; /* Name */
  char not_before[CERTIFICATE_DATE_SIZE], not_after[CERTIFICATE_DATE_SIZE]; /* "2026-11-25", UTC */
  struct der alt_names;  /* the list of subjectAltName, empty without one */
  bool name_constraints; /* it has them, critical or not */
};

/* 0, or -1: not a certificate. */
int certificate_read(const unsigned char *data, size_t len, struct certificate *c);

/*
 * RFC 9525 6: does a dNSName of it match the reference? A reference that
 * begins with a dot is matched by any name below it. "*" stands for exactly
 * one whole label, the first one. The subject's common name is not looked at.
 */
bool certificate_has_name(const struct certificate *c, const char *reference);

/* Its dNSNames, separated by blanks, for people; cut to size. */
void certificate_names(const struct certificate *c, char *out, size_t size);

/* The common name, or else the organisation, of issuer or subject, for people. */
void certificate_name_text(const struct der *name, char *out, size_t size);

#endif
