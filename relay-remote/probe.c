/*
 * relay-remote --check DOMAIN: MXs, addresses, what control/tlspolicy demands
 * of each, and what each says to EHLO and STARTTLS. Nothing is sent.
 */
#include "probe.h"

#include "certificate.h"
#include "exits.h"
#include "route_plan.h"
#include "scan.h"
#include "seqpacket.h"
#include "session.h"
#include "tls_client.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROBE_CONNECT_SECONDS 10
#define PROBE_REPLY_SECONDS 30

struct probe {
  const char *domain;
  const struct probe_control *control;
  struct route_plan plan;
  const struct resolve_answer *answer;
  enum dns_validation validation;
};

static struct session session; /* of the address being asked */

static const char *status_words(const struct probe *p)
{
  if (p->plan.kind == ROUTE_REFUSED) {
    return "is a local address, or malformed: mail is refused, 5.4.6";
  }
  if (p->plan.kind == ROUTE_DIRECT) {
    return "goes to an address";
  }
  if (p->plan.kind == ROUTE_HOST) {
    /* Whatever is wrong with it is our mistake, not the recipient's. */
    return p->answer->status == RESOLVE_OK ? "goes to a host of control/smtproutes"
                                           : "has no usable host in control/smtproutes: mail "
                                             "waits, 4.4.3";
  }
  switch (p->answer->status) {
  case RESOLVE_OK:
    return p->answer->implicit ? "has no MX; mail goes to its address (RFC 5321 5.1)"
                               : "mail goes to its MXs";
  case RESOLVE_NULLMX:
    return "takes no mail at all (null MX): mail is refused, 5.1.10";
  case RESOLVE_NODOMAIN:
    return "does not exist: mail is refused, 5.1.2";
  case RESOLVE_NOADDRESS:
    return "has neither MX nor address: mail is refused, 5.1.2";
  case RESOLVE_SELF:
    return "has this host as its best MX: mail is refused, 5.4.6";
  case RESOLVE_AGAIN:
    break;
  }
  return "cannot be looked up now: mail waits, 4.4.3";
}

static const char *insecure_words(enum dns_validation validation)
{
  switch (validation) {
  case DNS_VALIDATES:
    return "not looked at: its MX or address records are not signed";
  case DNS_VALIDATES_NOT:
    return "not looked at: the DNS server does not validate";
  case DNS_VALIDATION_UNKNOWN:
    break;
  }
  return "not looked at: its MX or address records are not signed, or the DNS server does not "
         "validate";
}

static const char *dane_words(enum dane_status status, enum dns_validation validation)
{
  switch (status) {
  case DANE_INSECURE:
    return insecure_words(validation);
  case DANE_NONE:
    return "none, proven by DNSSEC";
  case DANE_UNUSABLE:
    return "none of a usable kind";
  case DANE_FAILED:
    return "no answer, or a bogus one";
  case DANE_REMOTE:
    return "not looked at: the DNS server is not on this host (control/resolver)";
  case DANE_RECORDS:
  case DANE_UNASKED:
    break;
  }
  return "not looked at: it has no name";
}

static void print_hex(const unsigned char *data, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    printf("%02x", data[i]);
  }
}

static void print_tlsa(const struct probe *p, uint32_t host)
{
  const struct resolve_answer *a = p->answer;
  struct tlsa_set set;

  if (a->hosts[host].dane != DANE_RECORDS ||
      tlsa_decode(a->hosts[host].tlsa, a->hosts[host].tlsa_len, &set) == -1) {
    printf("    TLSA: %s\n", dane_words(a->hosts[host].dane, p->validation));
    return;
  }
  for (uint32_t i = 0; i < set.count; i++) {
    const struct tlsa *t = &set.records[i];
    printf("    TLSA: _%d._tcp.%s %u %u %u ", p->plan.port, a->hosts[host].base, t->usage,
           t->selector, t->type);
    print_hex(t->digest, tlsa_digest_size(t->type));
    printf("\n");
  }
}

static void print_demand(const struct tlspolicy *policy, const struct work_tls *demand)
{
  printf("    policy: %s", tlspolicy_kind_name(policy ? policy->kind : TLS_MAY));
  if (policy) {
    printf(" (control/tlspolicy, \"%s:\")", policy->name);
  }
  if (policy && policy->kind == TLS_DANE && demand->kind != TLS_DANE) {
    printf(", so %s",
           demand->kind == TLS_BARRED ? "it is not used" : tlspolicy_kind_name(demand->kind));
  }
  if (demand->kind == TLS_VERIFY) {
    printf(", for one of: %s", demand->names);
  }
  printf("\n");
}

/* The chain that the host has sent, also where the handshake then failed. */
static void print_certificate(struct tls_check *check)
{
  unsigned char whole[WORK_TLS_PIN_SIZE], key[WORK_TLS_PIN_SIZE];
  char names[400], issuer[100];
  const unsigned char *data;
  struct certificate c;
  size_t len;

  if (check->count == 0 || (data = tls_check_certificate(check, 0, &len)) == NULL ||
      certificate_read(data, len, &c) == -1) {
    return;
  }
  certificate_names(&c, names, sizeof(names));
  certificate_name_text(&c.issuer, issuer, sizeof(issuer));
  printf("    certificate: for %s; from %s until %s; issued by \"%s\"; %zu in the chain\n",
         *names ? names : "no host name", c.not_before, c.not_after, issuer, check->count);
  if (tls_check_fingerprints(check, whole, key) == 0) {
    printf("    fingerprint: ");
    print_hex(whole, sizeof(whole));
    printf("\n    of its key:  ");
    print_hex(key, sizeof(key));
    printf("\n");
  }
}

/* Where nothing is verified: whether the policy verify could be written for this host. */
static void print_would_verify(struct tls_check *check, const struct work_tls *demand)
{
  static struct work_tls verify;

  if (!check->key || !*demand->sni || (demand->kind != TLS_MAY && demand->kind != TLS_ENCRYPT)) {
    return;
  }
  verify = *demand;
  verify.kind = TLS_VERIFY;
  snprintf(verify.names, sizeof(verify.names), "%s", demand->sni);
  printf("    verify: would %s%s\n",
         tls_check_again(check, &verify) ? "be fulfilled" : "not be: ", check->reason);
}

static void print_session(struct session *s)
{
  char offers[256];

  session_extensions(s, offers, sizeof(offers));
  printf("  %s: ready, tls=%s, %s\n", s->host, s->tls_result.facts, offers);
  if (*s->tls_result.broken) {
    printf("    TLS does not work: %s\n", s->tls_result.broken);
  }
  printf("    says: %.*s\n", (int)s->reply.text_len, s->reply.text);
}

/* One address: connect, banner, EHLO, STARTTLS, QUIT. True if it would take a transaction. */
static bool probe_address(const struct probe *p, uint32_t i)
{
  const struct resolve_answer *a = p->answer;
  const uint32_t host = a->addresses[i].host;
  const struct tlspolicy *policy =
    tlspolicy_find(&p->control->policies, p->domain, a->hosts[host].name);
  const struct tls_host tls = {.domain = p->domain,
                               .mx = a->hosts[host].name,
                               .dane = a->hosts[host].dane,
                               .base = a->hosts[host].base,
                               .tlsa = a->hosts[host].tlsa,
                               .tlsa_len = a->hosts[host].tlsa_len};
  struct session *s = &session;
  struct outcome outcome = {0};
  int fds[2];

  memset(s, 0, sizeof(*s));
  if (seqpacket_pair(fds) == -1) {
    return false;
  }
  /* Nobody speaks at the other end; it is open so that the session is wanted. */
  loglines_init(&s->log, open("/dev/null", O_WRONLY | O_CLOEXEC), false);
  wire_init(&s->wire, fds[0], &s->log);
  snprintf(s->open.helo, sizeof(s->open.helo), "%s", p->control->dns.rules.me);
  s->open.host_count = 1;
  s->open.hosts[0].ip = a->addresses[i].ip;
  s->open.hosts[0].port = p->plan.port;
  memcpy(s->open.hosts[0].name, a->hosts[host].name, 256);
  s->open.timeouts = (struct work_timeouts){.connect = PROBE_CONNECT_SECONDS,
                                            .banner = PROBE_REPLY_SECONDS,
                                            .helo = PROBE_REPLY_SECONDS,
                                            .quit = 1};
  tlspolicy_demand(policy, &tls, &s->tls[0]);
  if (session_connect(s, &outcome) == 0) {
    print_session(s);
  } else {
    printf("  %s: mail would wait, %s: %s\n", s->host, outcome.status, outcome.reply);
  }
  print_demand(policy, &s->tls[0]);
  print_tlsa(p, host);
  if (s->client) {
    print_certificate(&s->client->check);
    print_would_verify(&s->client->check, &s->tls[0]);
  }
  session_quit(s);
  wire_close(&s->wire);
  close(s->log.fd);
  close(fds[0]);
  close(fds[1]);
  return s->usable;
}

static void print_route(const struct probe *p)
{
  const struct smtproute *line = p->plan.smtproute;

  if (line) {
    printf("  control/smtproutes:%u: %s:%s:%d\n", line->line, line->domain, line->host, line->port);
  }
}

static void print_hosts(const struct probe *p)
{
  const struct resolve_answer *a = p->answer;

  for (uint32_t i = 0; i < a->host_count; i++) {
    if (p->plan.kind == ROUTE_HOST) {
      printf("  host %s, port %d\n", a->hosts[i].name, p->plan.port);
    } else if (a->implicit) {
      printf("  no MX; address record of %s\n", a->hosts[i].name);
    } else {
      printf("  MX %u %s\n", a->hosts[i].preference, a->hosts[i].name);
    }
  }
  printf("  answers are good for %u seconds\n", a->ttl);
}

/* Asks what relay-send would ask, but always for TLSA records, too. 0 or -1. */
static int look_up(const struct probe *p, struct resolve_answer *a)
{
  struct resolve_question question = {.kind = p->plan.kind == ROUTE_HOST ? 'H' : 'M',
                                      .port = p->plan.port};

  if (p->plan.kind == ROUTE_DIRECT) {
    *a = (struct resolve_answer){.status = RESOLVE_OK, .host_count = 1, .address_count = 1};
    a->hosts[0].dane = DANE_UNASKED;
    a->addresses[0].ip = p->plan.ip;
    return 0;
  }
  if (p->plan.kind == ROUTE_REFUSED) {
    *a = (struct resolve_answer){.status = RESOLVE_NOADDRESS};
    return 0;
  }
  snprintf(question.name, sizeof(question.name), "%s", p->plan.name);
  return dns_ask(&p->control->dns, &question, a);
}

int probe_domain(const char *as_typed, const struct probe_control *control)
{
  static struct resolve_answer a;
  char domain[256]; /* in lower case, as relay-send has it */
  struct probe p = {.domain = domain, .control = control, .answer = &a};
  uint32_t usable = 0;

  snprintf(domain, sizeof(domain), "%s", as_typed);
  scan_lowercase(domain, strlen(domain));
  route_plan(&control->routes, domain, &p.plan);
  if (look_up(&p, &a) == -1) {
    return EXIT_TEMPORARY;
  }
  printf("%s %s\n", domain, status_words(&p));
  print_route(&p);
  if (*a.text) {
    printf("  %s\n", a.text);
  }
  if (a.status != RESOLVE_OK) {
    return a.status == RESOLVE_AGAIN || p.plan.kind == ROUTE_HOST ? EXIT_TEMPORARY : EXIT_PERMANENT;
  }
  if (p.plan.kind != ROUTE_DIRECT) {
    print_hosts(&p);
    /* Where no policy depends on it, a server that says nothing of the root is not waited for. */
    p.validation = control->policies.dane ? dns_ask_validation() : DNS_VALIDATION_UNKNOWN;
  }
  if (p.validation == DNS_VALIDATES_NOT) {
    printf("  warning: the DNS server does not validate: control/tlspolicy's dane is no more than "
           "may\n");
  }
  for (uint32_t i = 0; i < a.address_count; i++) {
    usable += probe_address(&p, i);
  }
  return usable > 0 ? EXIT_OK : EXIT_TEMPORARY;
}
