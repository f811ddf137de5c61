/* IP addresses: text, literals, sockaddrs, tenants. */
#include "ip.h"
#include "scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
/* RFC 6052 2.1: the well-known prefix of translated IPv4 addresses */
static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};

static size_t size_of(const struct ip *ip)
{
  return ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0;
}

static void set(struct ip *ip, int family, const void *bytes)
{
  memset(ip, 0, sizeof *ip);
  ip->family = family;
  if (family == AF_INET6 && memcmp(bytes, mapped, sizeof mapped) == 0) {
    ip->family = AF_INET;
    bytes = (const unsigned char *)bytes + sizeof mapped;
  }
  memcpy(ip->bytes, bytes, size_of(ip));
}

int ip_parse(const char *s, size_t len, struct ip *ip)
{
  char text[IP_TEXT_SIZE];
  unsigned char bytes[16];

  memset(ip, 0, sizeof *ip);
  if (len >= sizeof text || memchr(s, '\0', len)) {
    errno = EINVAL;
    return -1;
  }
  memcpy(text, s, len);
  text[len] = '\0';
  int family = memchr(s, ':', len) ? AF_INET6 : AF_INET;
  if (inet_pton(family, text, bytes) != 1) {
    errno = EINVAL;
    return -1;
  }
  set(ip, family, bytes);
  return 0;
}

int ip_parse_literal(const char *s, size_t len, struct ip *ip)
{
  static const char tag[] = "IPv6:";
  const size_t taglen = sizeof tag - 1;

  memset(ip, 0, sizeof *ip);
  if (len < 2 || s[0] != '[' || s[len - 1] != ']') {
    errno = EINVAL;
    return -1;
  }
  s++;
  len -= 2;
  bool tagged = scan_case_prefix(s, len, tag);
  if (tagged) {
    s += taglen;
    len -= taglen;
  }
  if (tagged != (memchr(s, ':', len) != NULL)) {
    errno = EINVAL;
    return -1;
  }
  return ip_parse(s, len, ip);
}

void ip_format(const struct ip *ip, char out[IP_TEXT_SIZE])
{
  if (size_of(ip) == 0 || !inet_ntop(ip->family, ip->bytes, out, IP_TEXT_SIZE)) {
    out[0] = '\0';
  }
}

bool ip_equal(const struct ip *a, const struct ip *b)
{
  return a->family == b->family && memcmp(a->bytes, b->bytes, size_of(a)) == 0;
}

static bool ipv4_is_local(const unsigned char *b)
{
  return b[0] == 0 || b[0] == 127 || (b[0] == 169 && b[1] == 254) ||
         b[0] >= 224; /* multicast, reserved, broadcast */
}

bool ip_is_local(const struct ip *ip)
{
  static const unsigned char zero[12];
  const unsigned char *b = ip->bytes;

  if (ip->family == AF_INET) {
    return ipv4_is_local(b);
  }
  if (ip->family != AF_INET6) {
    return true; /* none: nothing to connect to */
  }
  /* The IPv4 ones in IPv6 dress must not slip through (RFC 4291 2.5.5, RFC 6052). */
  if (memcmp(b, mapped, sizeof mapped) == 0 || memcmp(b, nat64, sizeof nat64) == 0) {
    return ipv4_is_local(b + 12);
  }
  return memcmp(b, zero, sizeof zero) == 0 /* ::, ::1, IPv4-compatible */
         || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || b[0] == 0xff;
}

int ip_network_parse(const char *s, size_t len, struct ip_network *network)
{
  const char *slash = memchr(s, '/', len);
  size_t n = slash ? (size_t)(slash - s) : len;
  uint64_t bits;

  if (ip_parse(s, n, &network->ip) == -1) {
    return -1;
  }
  bits = network->ip.family == AF_INET ? 32 : 128;
  if (slash && scan_u64(slash + 1, len - n - 1, bits, &bits) == -1) {
    errno = EINVAL;
    return -1;
  }
  network->bits = (int)bits;
  return 0;
}

bool ip_network_has(const struct ip_network *network, const struct ip *ip)
{
  const unsigned char *a = ip->bytes, *b = network->ip.bytes;
  int whole = network->bits / 8, rest = network->bits % 8;

  return ip->family == network->ip.family && memcmp(a, b, (size_t)whole) == 0 &&
         (rest == 0 || a[whole] >> (8 - rest) == b[whole] >> (8 - rest));
}

void ip_to_sockaddr(const struct ip *ip, int port, struct sockaddr_storage *out, socklen_t *len)
{
  memset(out, 0, sizeof *out);
  *len = 0;
  if (ip->family == AF_INET) {
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    memcpy(&in->sin_addr, ip->bytes, 4);
    *len = sizeof *in;
  } else if (ip->family == AF_INET6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    memcpy(&in6->sin6_addr, ip->bytes, 16);
    *len = sizeof *in6;
  }
}

int ip_from_sockaddr(const struct sockaddr *sa, struct ip *ip, int *port)
{
  in_port_t net_port;

  memset(ip, 0, sizeof *ip);
  if (sa->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
    set(ip, AF_INET, &in->sin_addr);
    net_port = in->sin_port;
  } else if (sa->sa_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
    set(ip, AF_INET6, &in6->sin6_addr);
    net_port = in6->sin6_port;
  } else {
    errno = EAFNOSUPPORT;
    return -1;
  }
  if (port) {
    *port = ntohs(net_port);
  }
  return 0;
}

void ip_tenant(const struct ip *ip, char out[IP_TENANT_SIZE])
{
  char text[IP_TEXT_SIZE];
  struct ip site = *ip;

  if (site.family == AF_INET6) {
    memset(site.bytes + 8, 0, 8); /* one customer has a /64 */
  }
  ip_format(&site, text);
  snprintf(out, IP_TENANT_SIZE, "%s%s", text, site.family == AF_INET6 ? "/64" : "");
}
