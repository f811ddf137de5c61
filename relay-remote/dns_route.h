#ifndef DNS_ROUTE_H
#define DNS_ROUTE_H

#include "dns_answer.h"
#include "resolve.h"

/* From MX, A and AAAA answers to the answer of resolve.h: RFC 5321 5.1, RFC 7505. Pure. */
#define ROUTE_OWN_MAX 256
#define ROUTE_LOCAL_MAX 64

/* What this host knows about itself. */
struct route_rules {
  char me[256];                 /* control/me: an MX of that name is ourselves */
  struct ip own[ROUTE_OWN_MAX]; /* addresses of ours, from the interfaces and control/ipme */
  uint32_t own_count;
  struct ip_network local[ROUTE_LOCAL_MAX]; /* control/mxlocal: MXs here although loopback, ... */
  uint32_t local_count;
  bool ipv6_first;
};

enum route_proof { ROUTE_UNASKED, ROUTE_SOME, ROUTE_NONE, ROUTE_NO_NAME, ROUTE_UNKNOWN };

struct route_host {
  uint32_t preference;
  char name[DNS_NAME_SIZE];
  struct ip v4[DNS_ADDRESSES_MAX], v6[DNS_ADDRESSES_MAX];
  uint32_t v4_count, v6_count;
  enum route_proof proof4, proof6;
};

struct route {
  bool implicit; /* no MX records: the domain itself, or a host that was asked for */
  bool plain;    /* a host of control/smtproutes: an operator's word, no rules */
  struct route_host hosts[RESOLVE_HOSTS_MAX];
  uint32_t host_count;
  uint32_t ttl;
};

void route_init(struct route *route);

/*
 * Takes the answer to the MX question. True: now the addresses of all hosts
 * are needed. False: *a is filled (status, ttl, text). random shuffles
 * equal preferences.
 */
bool route_take_mx(struct route *route, const char *domain, const struct dns_answer *mx,
                   uint32_t (*random_u32)(void), struct resolve_answer *a);

/* The route to one host by name. */
void route_take_host(struct route *route, const char *name, bool plain);

void route_take_addresses(struct route *route, uint32_t host, enum dns_type type,
                          const struct dns_answer *answer);

/* When every host's addresses have been answered. The token stays the caller's. */
void route_finish(struct route *route, const struct route_rules *rules, struct resolve_answer *a);

#endif
