#ifndef TLSPOLICY_H
#define TLSPOLICY_H

#include "control.h"
#include "hash.h"
#include "work_tls.h"

/*
 * control/tlspolicy: "NAME:POLICY[:ARGUMENTS]", a line each. NAME is a mail
 * domain or an MX host, ".suffix" for all below it, or nothing for all the
 * rest. relay-send turns it into demands on workers; relay-remote --check
 * shows what they are.
 */
struct tlspolicy {
  enum tls_kind kind;
  bool only;       /* dane: never without TLSA records */
  char *arguments; /* verify: names, "mx" and "domain" among them, separated by blanks */
  unsigned char *pins;
  uint32_t pins_len;
  char name[]; /* lower case */
};

struct tlspolicies {
  struct hash by_name;
  bool dane; /* some line says dane: TLSA records are needed */
};

void tlspolicy_init(struct tlspolicies *policies);
void tlspolicy_free(struct tlspolicies *policies);
enum control_result tlspolicy_read(struct tlspolicies *policies);

/* One line. NULL, or what is wrong with it. */
const char *tlspolicy_add(struct tlspolicies *policies, const char *line);

/* The domain, its suffixes; the MX host, its suffixes; the default. NULL: none of them, so may. */
const struct tlspolicy *tlspolicy_find(const struct tlspolicies *policies, const char *domain,
                                       const char *mx);

/* What is known about the host that a connection is to be made to. */
struct tls_host {
  const char *domain; /* whose mail it is for */
  const char *mx;     /* its name, "" for an address */
  enum dane_status dane;
  const char *base; /* the name that the TLSA records are at (RFC 7672 2.2.3) */
  const unsigned char *tlsa;
  size_t tlsa_len;
};

/* What a policy (NULL: may) demands of a connection to it. Without reason (but of barred) and
 * session. */
void tlspolicy_demand(const struct tlspolicy *policy, const struct tls_host *host,
                      struct work_tls *demand);

/*
 * A keyed digest of everything that a connection is checked against. Two
 * demands with the same one are equal: a connection or a TLS session made for
 * the one does for the other.
 */
uint64_t tlspolicy_digest(const struct work_tls *demand);

const char *tlspolicy_kind_name(enum tls_kind kind);

#endif
