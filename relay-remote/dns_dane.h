#ifndef DNS_DANE_H
#define DNS_DANE_H

#include "dns_route.h"

/*
 * Which TLSA records a host of a route has (RFC 7672 2.2). Asked for are those
 * of hosts that are proven to be the right ones, at proven addresses; a server
 * of an unsigned zone that drops questions of unknown type hurts nobody then.
 * Pure.
 */

/*
 * When all addresses are known. True: the records of hosts[host].base are to
 * be asked for; false: its status is decided. local: dns_ares_local().
 */
bool dane_begin(struct route *route, uint32_t host, bool local);

/* Takes the answer. True: another base is to be asked for. */
bool dane_take(struct route *route, uint32_t host, const struct dns_answer *answer);

/* "_25._tcp.mx.example.com"; 0, or -1: too long to be a name. */
int dane_question(const struct route *route, uint32_t host, int port, char name[DNS_NAME_SIZE]);

#endif
