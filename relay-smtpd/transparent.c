/*
 * The original destination, and why it may be none of ours.
 *
 * The kernel's NAT remembers where a redirected connection was going. A
 * connection that was not redirected has no such memory (ENOENT; ENOPROTOOPT
 * when NAT is not even loaded), or, where NAT is loaded but no rule fitted, one
 * of the place that it has reached. To go there would be to connect to
 * ourselves, for ever; so it would be with any other address of this host, and
 * whoever may send mail here must not reach its loopback services. Those that
 * are no interface's but translated to us stand in control/ipme.
 */
#include "transparent.h"

#include "control.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which do not like libc's headers. */
#define SO_ORIGINAL_DST 80
#define IP6T_SO_ORIGINAL_DST 80

enum transparent_verdict transparent_judge(const struct transparent_place *original,
                                           const struct transparent_place *here, bool ours,
                                           bool listed)
{
  if (original->ip.family == 0 || original->port == 0 ||
      (original->port == here->port && ip_equal(&original->ip, &here->ip))) {
    return TRANSPARENT_DIRECT;
  }
  if (listed) {
    return TRANSPARENT_OK;
  }
  if (ours) {
    return TRANSPARENT_SELF;
  }
  return ip_is_local(&original->ip) ? TRANSPARENT_LOCAL : TRANSPARENT_OK;
}

/* 0, or -1 with errno. original has family 0 when the kernel knows of none. */
static int ask_kernel(int fd, struct transparent_place *original, struct transparent_place *here)
{
  struct sockaddr_storage sa;
  socklen_t len = sizeof sa;

  *original = (struct transparent_place){.port = 0};
  if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 ||
      ip_from_sockaddr((struct sockaddr *)&sa, &here->ip, &here->port) < 0) {
    return -1;
  }
  /* An IPv4 client of a dual-stack listener is IPv4 to NAT; struct ip holds it as such. */
  bool four = here->ip.family == AF_INET;
  len = four ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  if (getsockopt(fd, four ? SOL_IP : SOL_IPV6, four ? SO_ORIGINAL_DST : IP6T_SO_ORIGINAL_DST, &sa,
                 &len) < 0) {
    return errno == ENOENT || errno == ENOPROTOOPT ? 0 : -1;
  }
  return ip_from_sockaddr((struct sockaddr *)&sa, &original->ip, &original->port);
}

/* Is the address in that list? All of the list is read, so that a malformed line is always found. */
static enum control_result look(const char *name, bool networks, const struct ip *ip, bool *found)
{
  struct control_list list;
  enum control_result result = control_list(name, &list);

  if (result != CONTROL_OK) {
    return result == CONTROL_MISSING ? CONTROL_OK : result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    const char *line = list.lines[i];
    struct ip_network network;
    if (ip_network_parse(line, strlen(line), &network) < 0 || (!networks && strchr(line, '/'))) {
      result = control_fail(name, list.number[i], "not an address%s: %s",
                            networks ? " or network" : "", line);
    } else if (ip_network_has(&network, ip)) {
      *found = true;
    }
  }
  control_list_free(&list);
  return result;
}

/*
 * What cannot be bound is no address of this host: that is a cheap answer, and the usual one. What
 * can be bound need not be one (ip_nonlocal_bind).
 */
static bool may_be_ours(const struct ip *ip)
{
  struct sockaddr_storage sa;
  socklen_t len;
  bool may = true;
  int fd = socket(ip->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd == -1) {
    return true;
  }
  ip_to_sockaddr(ip, 0, &sa, &len);
  if (bind(fd, (struct sockaddr *)&sa, len) < 0 && errno == EADDRNOTAVAIL) {
    may = false;
  }
  close(fd);
  return may;
}

/* Is it an interface's? 0, or -1 with errno. */
static int look_at_interfaces(const struct ip *ip, bool *found)
{
  struct ifaddrs *list;
  struct ip own;

  if (getifaddrs(&list) < 0) {
    return -1;
  }
  for (struct ifaddrs *i = list; i; i = i->ifa_next) {
    if (i->ifa_addr && ip_from_sockaddr(i->ifa_addr, &own, NULL) == 0 && ip_equal(&own, ip)) {
      *found = true;
    }
  }
  freeifaddrs(list);
  return 0;
}

int transparent_find(int fd, enum transparent_verdict *verdict,
                     char destination[ENVELOPE_DESTINATION_SIZE], char *why, size_t size)
{
  struct transparent_place original, here;
  bool listed = false, ours = false;
  char text[IP_TEXT_SIZE];

  destination[0] = '\0';
  if (ask_kernel(fd, &original, &here) < 0) {
    snprintf(why, size, "RELAYMODE=transparent needs the client's own connection as fd 0: %s",
             strerror(errno));
    return -1;
  }
  if (look("transparent", true, &original.ip, &listed) != CONTROL_OK ||
      look("ipme", false, &original.ip, &ours) != CONTROL_OK) {
    snprintf(why, size, "%s", control_error());
    return -1;
  }
  if (original.ip.family != 0 && may_be_ours(&original.ip) &&
      look_at_interfaces(&original.ip, &ours) < 0) {
    snprintf(why, size, "unable to list this host's addresses: %s", strerror(errno));
    return -1;
  }
  *verdict = transparent_judge(&original, &here, ours, listed);
  if (*verdict != TRANSPARENT_DIRECT) {
    ip_format(&original.ip, text);
    snprintf(destination, ENVELOPE_DESTINATION_SIZE, "%s %d", text, original.port);
  }
  return 0;
}
