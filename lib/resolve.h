#ifndef RESOLVE_H
#define RESOLVE_H

#include "ip.h"
#include "netstring.h"
#include "tlsa.h"

/*
 * relay-send asks the resolver process, which answers each question once, in
 * any order. Netstring fields.
 *
 *   question  m token domain   where does mail for this domain go?
 *             h token name     the addresses of this host (control/smtproutes)
 *             M, H, as m, h, and a port: and what TLSA records the hosts have for it
 *   answer    A token status ttl text hosts addresses,
 *             then per host:  preference name dane base tlsa
 *             then per address:  host_index ip
 *
 * Hosts are in the order to be tried, equal preferences shuffled; a domain
 * without MX is its own host (RFC 5321 5.1). Hosts at or behind our own
 * preference are left out. dane is an enum dane_status; with DANE_RECORDS,
 * base is the name that they are at and tlsa has them (tlsa_encode()). ttl is the smallest of all records used, in
 * seconds, for negative answers the SOA's minimum.
 */
enum resolve_status {
  RESOLVE_OK = 'o',       /* hosts, and one address at least */
  RESOLVE_NULLMX = 'n',   /* RFC 7505: 556 5.1.10 */
  RESOLVE_NODOMAIN = 'x', /* no such domain, proven: 5.1.2 */
  RESOLVE_NOADDRESS = 'a',/* the domain exists, nothing in it takes mail, proven: 5.1.2 (a host that
                             has MX records without any address: 5.4.4 temporary is RESOLVE_AGAIN) */
  RESOLVE_SELF = 's',     /* the best MX is this host: 5.4.6 */
  RESOLVE_AGAIN = 't'     /* no answer for now: 4.4.3 */
};

#define RESOLVE_HOSTS_MAX 20
#define RESOLVE_ADDRESSES_MAX 32
#define RESOLVE_TEXT_SIZE 256

struct resolve_answer {
  uint64_t token;
  enum resolve_status status;
  uint32_t ttl;
  char text[RESOLVE_TEXT_SIZE]; /* for people: what failed and where it was asked */
  struct {
    uint32_t preference;
    char name[256];
    enum dane_status dane;
    char base[256];
    unsigned char tlsa[TLSA_WIRE_MAX];
    uint32_t tlsa_len;
  } hosts[RESOLVE_HOSTS_MAX];
  uint32_t host_count;
  struct {
    uint32_t host;
    struct ip ip;
  } addresses[RESOLVE_ADDRESSES_MAX];
  uint32_t address_count;
  bool implicit; /* the host is the domain itself, which has no MX. Not told on the channel. */
};

struct resolve_question {
  char kind;
  uint64_t token;
  char name[256];
  int port; /* of M and H */
};

int resolve_put_question(struct buf *b, const struct resolve_question *q);
int resolve_get_question(const char *data, size_t len, struct resolve_question *q);
int resolve_put_answer(struct buf *b, const struct resolve_answer *a);
int resolve_get_answer(const char *data, size_t len, struct resolve_answer *a);

#endif
