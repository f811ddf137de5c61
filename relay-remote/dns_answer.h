#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include "ip.h"
#include "tlsa.h"

#include <stdint.h>

/* A DNS answer (RFC 1035 4), from untrusted bytes to what a question of ours needs. Pure. */
#define DNS_NAME_SIZE 256
#define DNS_MX_MAX 100 /* records looked at in an answer */
#define DNS_ADDRESSES_MAX 16

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_MX = 15, DNS_AAAA = 28, DNS_TLSA = 52 };

enum dns_status {
  DNS_FOUND,
  DNS_NODATA,   /* the name exists, without such records */
  DNS_NXDOMAIN, /* the name does not exist */
  DNS_ALIAS,    /* a CNAME whose end is not in the answer: ask for alias */
  DNS_FAILED    /* nothing can be concluded */
};

struct dns_answer {
  enum dns_status status;
  uint32_t ttl; /* the smallest of all records used; negative: RFC 2308 5 */
  bool secure;  /* AD: the server says that it has checked the signatures */
  char alias[DNS_NAME_SIZE];
  char owner[DNS_NAME_SIZE]; /* of the records: the name, or the end of its aliases */
  struct dns_mx {
    uint32_t preference;
    char name[DNS_NAME_SIZE]; /* lower case, no final dot; "" for the root (RFC 7505) */
  } mx[DNS_MX_MAX];
  uint32_t mx_count;
  struct ip addresses[DNS_ADDRESSES_MAX];
  uint32_t address_count;
  struct tlsa_set tlsa; /* the usable ones */
};

/* Takes an answer to a question for name and type. Names that are no host names are left out of mx.
 */
void dns_answer_parse(const unsigned char *packet, size_t len, const char *name, enum dns_type type,
                      struct dns_answer *a);

/* Letters, digits, hyphens, underscores and dots, and no IP address written out. */
bool dns_host_valid(const char *name);

#endif
