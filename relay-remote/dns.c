/*
 * The resolver process: forked from the master, uid relayr, confined. Trusts
 * relay-send, its only client, and no DNS answer further than DNS goes: an
 * answer decides where one domain's mail is tried, and never fails mail but by
 * a proof. fd 3 is relay-send.
 */
#include "dns.h"

#include "channel.h"
#include "confine.h"
#include "dns_ares.h"
#include "dns_dane.h"
#include "drop.h"
#include "exits.h"
#include "io.h"
#include "report.h"
#include "scan.h"
#include "seqpacket.h"

#include <errno.h>
#include <idn2.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define OPEN_MAX 200      /* questions being asked at a time, each up to 41 DNS queries */
#define WAITING_MAX 20000 /* behind them; relay-send's own caps are far below */
#define CHANNEL_FD 3
#define AGAIN_TTL 60 /* seconds */

struct question {
  struct question *next;
  uint64_t token;
  char kind;                /* m or h */
  int port;                 /* 0: TLSA records are not wanted */
  bool tlsa;                /* they are being asked for */
  char name[DNS_NAME_SIZE]; /* as it is asked: A-labels */
  uint32_t pending;         /* DNS queries without answer, and one while more are being made */
  char error[128];          /* of the last query that failed */
  struct route *route;      /* while it is being asked */
};

/* A query of a question: which host, which family. */
struct leg {
  struct question *q;
  uint32_t host;
  enum dns_type type;
};

static struct loop loop;
static struct channel channel;
static struct route_rules rules;
static bool local_servers;
static struct question *first, **last = &first; /* waiting for their turn */
static uint32_t open_count, waiting_count;
static struct resolve_answer answer; /* being made */
static struct resolve_answer *asked; /* dns_ask()'s */

static uint32_t random_u32(void)
{
  uint32_t value = 0;

  /* Only a shuffle: without randomness the order stays, and mail goes on. */
  if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value)) {
    value = 0;
  }
  return value;
}

static void send_answer(uint64_t token)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  answer.token = token;
  if (asked) {
    *asked = answer;
    loop.stop = true;
    return;
  }
  /* Out of memory: relay-send asks again when it hears nothing. */
  if (resolve_put_answer(&b, &answer) == -1 || channel_send(&channel, b.data, b.len, -1) == -1) {
    report_warning_errno("resolver: unable to answer");
  }
  buf_free(&b);
}

static void answer_again(uint64_t token, const char *text)
{
  answer.status = RESOLVE_AGAIN;
  answer.ttl = AGAIN_TTL;
  answer.host_count = answer.address_count = 0;
  snprintf(answer.text, sizeof(answer.text), "%.200s", text);
  send_answer(token);
}

/* The route is known, or that there is none. */
static void finish(struct question *q)
{
  size_t len;

  if (answer.status == RESOLVE_AGAIN && *q->error) {
    len = strlen(answer.text);
    snprintf(answer.text + len, sizeof(answer.text) - len, " (%s)", q->error);
  }
  if (answer.status == RESOLVE_AGAIN && answer.ttl == 0) {
    answer.ttl = AGAIN_TTL;
  }
  send_answer(q->token);
  free(q->route);
  free(q);
  open_count--;
}

static void note_error(struct question *q, const char *name, const char *error)
{
  if (error) {
    snprintf(q->error, sizeof(q->error), "%.80s: %.40s", name, error);
  }
}

static void ask_tlsa(struct question *q);

static void validation_known(void)
{
  if (asked) {
    loop.stop = true;
  } else if (dns_validation() == DNS_VALIDATES_NOT) {
    report_warning(
      "resolver: the DNS server does not validate (no AD bit in its answer about the "
      "root): control/tlspolicy's dane is no more than may, and dane:only has mail wait");
  }
}

/* One of the queries is done; after the last one for addresses, or then for TLSA, the route is. */
static void leg_done(struct question *q)
{
  if (--q->pending > 0) {
    return;
  }
  if (q->port > 0 && !q->tlsa) {
    ask_tlsa(q);
    return;
  }
  if (q->port > 0 && local_servers) {
    dns_validation_ask(validation_known);
  }
  route_finish(q->route, &rules, &answer);
  finish(q);
}

static void ask_base(struct question *q, uint32_t host);

static void take_tlsa(void *arg, const struct dns_answer *found, const char *error)
{
  struct leg *leg = arg;
  struct question *q = leg->q;

  note_error(q, q->route->hosts[leg->host].base, error);
  if (dane_take(q->route, leg->host, found)) {
    ask_base(q, leg->host);
  }
  free(leg);
  leg_done(q);
}

static void ask_base(struct question *q, uint32_t host)
{
  static const struct dns_answer failed = {.status = DNS_FAILED};
  struct leg *leg = malloc(sizeof(*leg));
  char name[DNS_NAME_SIZE];

  if (!leg || dane_question(q->route, host, q->port, name) == -1) {
    dane_take(q->route, host, &failed);
    free(leg);
    return;
  }
  *leg = (struct leg){.q = q, .host = host, .type = DNS_TLSA};
  q->pending++;
  dns_ares_ask(name, DNS_TLSA, take_tlsa, leg);
}

static void ask_tlsa(struct question *q)
{
  q->tlsa = true;
  q->pending = 1; /* answers may come before all are asked */
  for (uint32_t i = 0; i < q->route->host_count; i++) {
    if (dane_begin(q->route, i, local_servers)) {
      ask_base(q, i);
    }
  }
  leg_done(q);
}

static void take_addresses(void *arg, const struct dns_answer *found, const char *error)
{
  struct leg *leg = arg;
  struct question *q = leg->q;

  note_error(q, q->route->hosts[leg->host].name, error);
  route_take_addresses(q->route, leg->host, leg->type, found);
  free(leg);
  leg_done(q);
}

static void ask_leg(struct question *q, uint32_t host, enum dns_type type)
{
  static const struct dns_answer failed = {.status = DNS_FAILED};
  struct leg *leg = malloc(sizeof(*leg));

  if (!leg) {
    route_take_addresses(q->route, host, type, &failed);
    return;
  }
  *leg = (struct leg){.q = q, .host = host, .type = type};
  q->pending++;
  dns_ares_ask(q->route->hosts[host].name, type, take_addresses, leg);
}

static void ask_addresses(struct question *q)
{
  q->pending = 1; /* answers may come before all are asked */
  for (uint32_t i = 0; i < q->route->host_count; i++) {
    ask_leg(q, i, DNS_A);
    ask_leg(q, i, DNS_AAAA);
  }
  leg_done(q);
}

static void take_mx(void *arg, const struct dns_answer *found, const char *error)
{
  struct question *q = arg;

  note_error(q, q->name, error);
  if (route_take_mx(q->route, q->name, found, random_u32, &answer)) {
    ask_addresses(q);
  } else {
    finish(q);
  }
}

/* An address instead of a name needs no DNS: a literal domain, or a line of control/smtproutes. */
static bool take_literal(struct question *q)
{
  size_t len = strlen(q->name);
  struct dns_answer given = {.status = DNS_FOUND, .ttl = UINT32_MAX, .address_count = 1};
  static const struct dns_answer none = {.status = DNS_NODATA, .ttl = UINT32_MAX};

  if (ip_parse_literal(q->name, len, &given.addresses[0]) == -1 &&
      (q->kind == 'm' || ip_parse(q->name, len, &given.addresses[0]) == -1)) {
    return false;
  }
  route_take_host(q->route, "", q->kind == 'h');
  bool v4 = given.addresses[0].family == AF_INET;
  route_take_addresses(q->route, 0, DNS_A, v4 ? &given : &none);
  route_take_addresses(q->route, 0, DNS_AAAA, v4 ? &none : &given);
  route_finish(q->route, &rules, &answer);
  finish(q);
  return true;
}

/* RFC 5890: what DNS is asked is A-labels. 0, or -1: no such name can exist. */
static int to_ascii(struct question *q)
{
  char *ascii = NULL;
  int result, saved;

  if (scan_ascii_only(q->name, strlen(q->name))) {
    return 0;
  }
  saved = idn2_to_ascii_8z(q->name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  result = saved == IDN2_OK && strlen(ascii) < sizeof(q->name) ? 0 : -1;
  if (result == 0) {
    snprintf(q->name, sizeof(q->name), "%s", ascii);
  }
  idn2_free(ascii);
  return saved == IDN2_MALLOC ? -2 : result;
}

static void ask_dns(struct question *q)
{
  if (q->kind == 'm') {
    dns_ares_ask(q->name, DNS_MX, take_mx, q);
  } else {
    route_take_host(q->route, q->name, true);
    ask_addresses(q);
  }
}

static void start(struct question *q)
{
  static const struct dns_answer nothing = {.status = DNS_NXDOMAIN, .ttl = 3600};
  int ascii;

  open_count++;
  q->route = malloc(sizeof(*q->route));
  ascii = to_ascii(q);
  if (!q->route || ascii == -2) {
    answer_again(q->token, strerror(ENOMEM));
    free(q->route);
    free(q);
    open_count--;
    return;
  }
  route_init(q->route);
  if (ascii == -1) {
    take_mx(q, &nothing, NULL);
  } else if (!take_literal(q)) {
    ask_dns(q);
  }
}

static void start_waiting(void)
{
  struct question *q;

  while (first && open_count < OPEN_MAX) {
    q = first;
    first = q->next;
    if (!first) {
      last = &first;
    }
    waiting_count--;
    start(q);
  }
}

static void enqueue(const struct resolve_question *asked_for)
{
  struct question *q = NULL;

  if (waiting_count < WAITING_MAX) {
    q = calloc(1, sizeof(*q));
  }
  if (!q) {
    answer_again(asked_for->token, "too many questions at once");
    return;
  }
  q->kind = asked_for->kind == 'M' ? 'm' : asked_for->kind == 'H' ? 'h' : asked_for->kind;
  q->port = asked_for->port;
  q->token = asked_for->token;
  memcpy(q->name, asked_for->name, sizeof(q->name));
  *last = q;
  last = &q->next;
  waiting_count++;
}

static void datagram(struct channel *c, const char *data, size_t len, int fd)
{
  struct resolve_question question;

  if (fd != -1) {
    close(fd);
  }
  if (resolve_get_question(data, len, &question) == -1) {
    report_warning("resolver: relay-send asked something unknown");
    return;
  }
  enqueue(&question);
  if (channel_full(c)) {
    channel_pause(c, true);
  }
}

static void drained(struct channel *c)
{
  channel_pause(c, false);
}

static void closed(struct channel *c)
{
  channel_close(c);
  _exit(EXIT_OK);
}

static int before_wait(void *arg)
{
  int ms;

  (void)arg;
  start_waiting();
  ms = dns_ares_before_wait();
  start_waiting(); /* time-outs have made room */
  if (!asked && channel_flush(&channel) == -1) {
    _exit(EXIT_OK);
  }
  return first && open_count < OPEN_MAX ? 0 : ms;
}

/* Our interfaces' addresses; an MX at one of them is this host. */
static void find_own_addresses(void)
{
  struct ifaddrs *list, *i;
  struct ip ip;
  int port;

  if (getifaddrs(&list) == -1) {
    report_warning_errno("resolver: unable to list the interfaces");
    return;
  }
  for (i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr || ip_from_sockaddr(i->ifa_addr, &ip, &port) == -1 || ip_is_local(&ip)) {
      continue;
    }
    rules.ipv6_first = rules.ipv6_first || ip.family == AF_INET6;
    if (rules.own_count < ROUTE_OWN_MAX) {
      rules.own[rules.own_count++] = ip;
    }
  }
  freeifaddrs(list);
}

static int set_up(const struct dns_config *config)
{
  const char *error;

  rules = config->rules;
  find_own_addresses();
  if (loop_init(&loop) == -1) {
    report_fatal_errno("resolver: unable to make its loop");
    return -1;
  }
  loop.before_wait = before_wait;
  if (dns_ares_start(&loop, config->servers, &error) == -1) {
    report_fatal("resolver: unable to start c-ares: %s", error);
    return -1;
  }
  local_servers = dns_ares_local();
  return 0;
}

_Noreturn void dns_run(int fd, const struct dns_config *config)
{
  if (fd != CHANNEL_FD && dup2(fd, CHANNEL_FD) == -1) {
    goto failed;
  }
  if (close_range(CHANNEL_FD + 1, ~0U, 0) == -1 || io_set_cloexec(CHANNEL_FD) == -1) {
    goto failed;
  }
  if (set_up(config) == -1) {
    _exit(EXIT_TEMPORARY);
  }
  channel.datagram = datagram;
  channel.closed = closed;
  channel.drained = drained;
  if (channel_open(&channel, &loop, CHANNEL_FD) == -1 || drop_hide() == -1 ||
      confine_network() == -1 || loop_run(&loop) == -1) {
    goto failed;
  }
  _exit(EXIT_OK);

failed:
  report_fatal_errno("resolver: unable to run");
  _exit(EXIT_TEMPORARY);
}

int dns_ask(const struct dns_config *config, const struct resolve_question *question,
            struct resolve_answer *out)
{
  if (set_up(config) == -1) {
    return -1;
  }
  asked = out;
  enqueue(question);
  return loop_run(&loop);
}

enum dns_validation dns_ask_validation(void)
{
  if (local_servers && dns_validation() == DNS_VALIDATION_UNKNOWN) {
    loop.stop = false;
    dns_validation_ask(validation_known); /* unless the question has led to that already */
    if (loop_run(&loop) == -1) {
      report_warning_errno("unable to find out whether the DNS server validates");
    }
  }
  return dns_validation();
}
