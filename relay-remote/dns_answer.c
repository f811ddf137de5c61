/* DNS answers, through libc's parser of messages (nameser.h), which checks every length. */
#include "dns_answer.h"

#include "scan.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#define ALIASES_MAX 8 /* CNAMEs followed in one answer */

bool dns_host_valid(const char *name)
{
  size_t len = strlen(name);
  struct ip ip;

  for (size_t i = 0; i < len; i++) {
    char c = name[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_' || c == '.')) {
      return false;
    }
  }
  return len > 0 && ip_parse(name, len, &ip) == -1;
}

static void use_ttl(struct dns_answer *a, uint32_t ttl)
{
  if (ttl < a->ttl) {
    a->ttl = ttl;
  }
}

static bool same_name(const char *x, const char *y)
{
  size_t xlen = strlen(x), ylen = strlen(y);

  xlen -= xlen > 0 && x[xlen - 1] == '.';
  ylen -= ylen > 0 && y[ylen - 1] == '.';
  return scan_case_equal(x, xlen, y, ylen);
}

/* The host name in an RR at an offset; 0 or -1. */
static int get_name(ns_msg *msg, const ns_rr *rr, size_t offset, char name[DNS_NAME_SIZE])
{
  char text[NS_MAXDNAME];
  size_t len;

  if (ns_rr_rdlen(*rr) <= offset ||
      ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(*rr) + offset, text,
                         sizeof(text)) == -1) {
    return -1;
  }
  len = strlen(text);
  len -= len > 0 && text[len - 1] == '.';
  if (len >= DNS_NAME_SIZE) {
    return -1;
  }
  memcpy(name, text, len);
  name[len] = 0;
  scan_lowercase(name, len);
  return 0;
}

/* One step along the CNAMEs of the answer section: true if name was an alias there. */
static bool follow(ns_msg *msg, char name[DNS_NAME_SIZE], struct dns_answer *a)
{
  char target[DNS_NAME_SIZE];
  ns_rr rr;

  for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
    if (ns_parserr(msg, ns_s_an, i, &rr) == -1) {
      return false;
    }
    if (ns_rr_type(rr) == ns_t_cname && ns_rr_class(rr) == ns_c_in &&
        same_name(ns_rr_name(rr), name) && get_name(msg, &rr, 0, target) == 0) {
      use_ttl(a, ns_rr_ttl(rr));
      memcpy(name, target, sizeof(target));
      return true;
    }
  }
  return false;
}

static void take_mx(ns_msg *msg, const ns_rr *rr, struct dns_answer *a)
{
  struct dns_mx *mx = &a->mx[a->mx_count];

  if (a->mx_count < DNS_MX_MAX && ns_rr_rdlen(*rr) > 2 && get_name(msg, rr, 2, mx->name) == 0) {
    mx->preference = ns_get16(ns_rr_rdata(*rr));
    a->mx_count++;
  }
}

static void take_address(const ns_rr *rr, enum dns_type type, struct dns_answer *a)
{
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  int port;

  if (a->address_count == DNS_ADDRESSES_MAX) {
    return;
  }
  if (type == DNS_A && ns_rr_rdlen(*rr) == 4) {
    memcpy(&v4.sin_addr, ns_rr_rdata(*rr), 4);
    ip_from_sockaddr((struct sockaddr *)&v4, &a->addresses[a->address_count++], &port);
  } else if (type == DNS_AAAA && ns_rr_rdlen(*rr) == 16) {
    memcpy(&v6.sin6_addr, ns_rr_rdata(*rr), 16);
    ip_from_sockaddr((struct sockaddr *)&v6, &a->addresses[a->address_count++], &port);
  }
}

static void take_records(ns_msg *msg, const char *name, enum dns_type type, struct dns_answer *a)
{
  ns_rr rr;

  for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
    if (ns_parserr(msg, ns_s_an, i, &rr) == -1) {
      a->status = DNS_FAILED; /* half an answer is none */
      return;
    }
    if ((int)ns_rr_type(rr) != (int)type || ns_rr_class(rr) != ns_c_in ||
        !same_name(ns_rr_name(rr), name)) {
      continue;
    }
    use_ttl(a, ns_rr_ttl(rr));
    a->status = DNS_FOUND;
    if (type == DNS_MX) {
      take_mx(msg, &rr, a);
    } else if (type == DNS_TLSA) {
      tlsa_take(&a->tlsa, ns_rr_rdata(rr), ns_rr_rdlen(rr));
    } else {
      take_address(&rr, type, a);
    }
  }
}

/*
 * RFC 2308 5: the smaller of the SOA's own time to live and its minimum field,
 * its last. False without an SOA; then the answer is not to be kept.
 */
static bool use_negative_ttl(ns_msg *msg, struct dns_answer *a)
{
  ns_rr rr;

  for (int i = 0; i < ns_msg_count(*msg, ns_s_ns); i++) {
    if (ns_parserr(msg, ns_s_ns, i, &rr) == 0 && ns_rr_type(rr) == ns_t_soa &&
        ns_rr_rdlen(rr) >= 20) {
      use_ttl(a, ns_rr_ttl(rr));
      use_ttl(a, (uint32_t)ns_get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) - 4));
      return true;
    }
  }
  return false;
}

void dns_answer_parse(const unsigned char *packet, size_t len, const char *name, enum dns_type type,
                      struct dns_answer *a)
{
  char *owner = a->owner;
  int rcode, aliases = 0;
  ns_msg msg;

  a->status = DNS_FAILED;
  a->ttl = UINT32_MAX;
  a->mx_count = a->address_count = a->tlsa.count = 0;
  a->secure = false;
  *owner = 0;
  if (len > NS_MAXMSG || ns_initparse(packet, (int)len, &msg) == -1) {
    return;
  }
  rcode = ns_msg_getflag(msg, ns_f_rcode);
  if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
    return;
  }
  a->secure = ns_msg_getflag(msg, ns_f_ad);
  snprintf(owner, sizeof(a->owner), "%s", name);
  while (aliases < ALIASES_MAX && follow(&msg, owner, a)) {
    aliases++;
  }
  a->status = rcode == ns_r_nxdomain ? DNS_NXDOMAIN : DNS_NODATA;
  if (rcode == ns_r_noerror) {
    take_records(&msg, owner, type, a);
  }
  if (a->status == DNS_NODATA && aliases == ALIASES_MAX) {
    a->status = DNS_FAILED; /* a loop, or next to one */
  } else if (a->status != DNS_FOUND && a->status != DNS_FAILED && !use_negative_ttl(&msg, a)) {
    a->ttl = 0;
    if (a->status == DNS_NODATA && aliases > 0) {
      a->status = DNS_ALIAS; /* not proven that the alias' end has none: it was not asked for */
      snprintf(a->alias, sizeof(a->alias), "%s", owner);
    } else if (a->status == DNS_NODATA && ns_msg_count(msg, ns_s_ns) > 0) {
      a->status = DNS_FAILED; /* a referral, which proves nothing (RFC 2308 2.2) */
    }
  }
}
