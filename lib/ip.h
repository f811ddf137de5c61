#ifndef IP_H
#define IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses are held as IPv4. */
struct ip {
  int family; /* AF_INET, AF_INET6, or 0 for none */
  unsigned char bytes[16]; /* network order; 4 used for IPv4 */
};

#define IP_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

/* "192.0.2.1" or "2001:db8::1", without brackets; 0 or -1. */
int ip_parse(const char *s, size_t len, struct ip *ip);
/* An RFC 5321 4.1.3 address literal: "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
int ip_parse_literal(const char *s, size_t len, struct ip *ip);
void ip_format(const struct ip *ip, char out[IP_TEXT_SIZE]);
bool ip_equal(const struct ip *a, const struct ip *b);

/* Loopback, link-local, unspecified or multicast: never a destination from outside. */
bool ip_is_local(const struct ip *ip);

/* An address, or all that begin with its first bits. */
struct ip_network {
  struct ip ip;
  int bits;
};

/* "127.0.0.1" or "127.0.0.0/8"; 0 or -1. */
int ip_network_parse(const char *s, size_t len, struct ip_network *network);
bool ip_network_has(const struct ip_network *network, const struct ip *ip);

void ip_to_sockaddr(const struct ip *ip, int port, struct sockaddr_storage *out, socklen_t *len);
int ip_from_sockaddr(const struct sockaddr *sa, struct ip *ip, int *port);

/* The default tenant of a client: its IPv4 address, or its IPv6 /64 ("2001:db8:1:2::/64"). */
#define IP_TENANT_SIZE 64
void ip_tenant(const struct ip *ip, char out[IP_TENANT_SIZE]);

#endif
