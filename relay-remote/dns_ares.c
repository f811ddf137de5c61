/* c-ares in our loop. Its memory for parsing is static: one answer is looked at at a time. */
#include "dns_ares.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SOCKETS_MAX 64 /* one UDP and one TCP socket for each server in use */
#define TRY_MS 2500    /* the first try of a server; later ones wait longer */
#define TRIES 3
#define EDNS_BYTES 1232   /* no fragments: DNS flag day 2020 */
#define ALIAS_DEPTH_MAX 8 /* CNAMEs that we must ask for ourselves */

struct query {
  void (*done)(void *arg, const struct dns_answer *answer, const char *error);
  void *arg;
  enum dns_type type;
  int depth;
  bool secure; /* so far: all aliases that were asked for were */
  char name[DNS_NAME_SIZE];
};

static ares_channel ares;
static struct loop *the_loop;
static struct loop_watch watches[SOCKETS_MAX];
static bool secure_seen;

static void socket_ready(struct loop_watch *watch, uint32_t events)
{
  int fd = watch->fd;

  ares_process_fd(ares, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                  events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
}

static struct loop_watch *find_watch(int fd)
{
  for (int i = 0; i < SOCKETS_MAX; i++) {
    if (watches[i].fd == fd) {
      return &watches[i];
    }
  }
  return NULL;
}

static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
  uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
  struct loop_watch *watch = find_watch(fd);

  (void)arg;
  if (watch && events) {
    loop_change(the_loop, watch, events);
  } else if (watch) {
    loop_remove(the_loop, watch);
    watch->fd = -1;
  } else if (events) {
    watch = find_watch(-1);
    /* Without a free one the socket is not heard, and its question times out. */
    if (watch) {
      *watch = (struct loop_watch){.fd = fd, .events = events, .ready = socket_ready};
      if (loop_add(the_loop, watch) == -1) {
        watch->fd = -1;
      }
    }
  }
}

int dns_ares_start(struct loop *loop, const char *servers, const char **error)
{
  struct ares_options options = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
                                 .timeout = TRY_MS,
                                 .tries = TRIES,
                                 .ednspsz = EDNS_BYTES,
                                 .lookups = "b",
                                 .sock_state_cb = socket_state};
  int status;

  the_loop = loop;
  for (int i = 0; i < SOCKETS_MAX; i++) {
    watches[i].fd = -1;
  }
  status = ares_library_init(ARES_LIB_INIT_ALL);
  if (status == ARES_SUCCESS) {
    status = ares_init_options(&ares, &options,
                               ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                 ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
  }
  if (status == ARES_SUCCESS && *servers) {
    status = ares_set_servers_ports_csv(ares, servers);
  }
  *error = ares_strerror(status);
  return status == ARES_SUCCESS ? 0 : -1;
}

static bool is_loopback(const struct ares_addr_port_node *server)
{
  static const unsigned char loopback6[16] = {[15] = 1};

  return server->family == AF_INET ? *(const unsigned char *)&server->addr.addr4 == 127
                                   : memcmp(&server->addr.addr6, loopback6, 16) == 0;
}

bool dns_ares_local(void)
{
  struct ares_addr_port_node *servers = NULL;
  bool local;

  if (ares_get_servers_ports(ares, &servers) != ARES_SUCCESS) {
    return false;
  }
  local = servers != NULL;
  for (struct ares_addr_port_node *s = servers; s; s = s->next) {
    local = local && is_loopback(s);
  }
  ares_free_data(servers);
  return local;
}

bool dns_ares_secure_seen(void)
{
  return secure_seen;
}

int dns_ares_before_wait(void)
{
  struct timeval tv, *next = ares_timeout(ares, NULL, &tv);

  if (next && next->tv_sec == 0 && next->tv_usec < 1000) {
    ares_process_fd(ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    next = ares_timeout(ares, NULL, &tv);
  }
  return next ? (int)(next->tv_sec * 1000 + (next->tv_usec + 999) / 1000) : -1;
}

static void answered(void *arg, int status, int timeouts, unsigned char *packet, int len);

/*
 * ares_query() does the same, but for the AD bit, which asks for that of the
 * answer (RFC 6840 5.7): the flags' second byte is the packet's fourth.
 */
static void ask(struct query *q)
{
  unsigned char *packet = NULL;
  uint16_t id = 0;
  int len, status;

  /* Without randomness nothing is asked: a known id is an invitation. */
  status = getrandom(&id, sizeof(id), 0) == sizeof(id)
             ? ares_create_query(q->name, ns_c_in, (int)q->type, id, 1, &packet, &len, EDNS_BYTES)
             : ARES_ENOMEM;
  if (status != ARES_SUCCESS) {
    answered(q, status, 0, NULL, 0);
    return;
  }
  packet[3] |= 0x20;
  ares_send(ares, packet, len, answered, q);
  ares_free_string(packet);
}

static void answered(void *arg, int status, int timeouts, unsigned char *packet, int len)
{
  static struct dns_answer answer;
  struct query *q = arg;
  const char *error = NULL;

  (void)timeouts;
  if (status == ARES_EBADNAME) {
    /* No such name can be in DNS: a label over 63 bytes, or empty (RFC 1035 2.3.4). */
    answer = (struct dns_answer){.status = DNS_NXDOMAIN, .ttl = 3600};
  } else if (packet && len > 0 &&
             (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND)) {
    dns_answer_parse(packet, (size_t)len, q->name, q->type, &answer);
    error = answer.status == DNS_FAILED ? "garbled answer" : NULL;
  } else {
    answer = (struct dns_answer){.status = DNS_FAILED};
    error = ares_strerror(status);
  }
  secure_seen = secure_seen || answer.secure;
  answer.secure = answer.secure && q->secure;
  if (answer.status == DNS_ALIAS) {
    q->secure = answer.secure;
    if (++q->depth < ALIAS_DEPTH_MAX) {
      snprintf(q->name, sizeof(q->name), "%s", answer.alias);
      ask(q);
      return;
    }
    answer.status = DNS_FAILED;
    error = "too many aliases";
  }
  q->done(q->arg, &answer, error);
  free(q);
}

void dns_ares_ask(const char *name, enum dns_type type,
                  void (*done)(void *arg, const struct dns_answer *answer, const char *error),
                  void *arg)
{
  static const struct dns_answer failed = {.status = DNS_FAILED};
  struct query *q = calloc(1, sizeof(*q));

  if (!q) {
    done(arg, &failed, strerror(ENOMEM));
    return;
  }
  q->done = done;
  q->arg = arg;
  q->type = type;
  q->secure = true;
  snprintf(q->name, sizeof(q->name), "%s", name);
  ask(q);
}
