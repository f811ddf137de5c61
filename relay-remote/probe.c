/*
 * relay-remote --check DOMAIN: MXs, addresses, what control/tlspolicy demands
 * of each, and what each says to EHLO and STARTTLS. Nothing is sent.
 */
#include "probe.h"

#include "certificate.h"
#include "exits.h"
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
#define PROBE_PORT 25

struct probe {
  const char *domain;
  const struct dns_config *config;
  const struct tlspolicies *policies;
  const struct resolve_answer *answer;
  enum dns_validation validation;
};

static struct session session; /* of the address being asked */

static const char *status_words(const struct resolve_answer *a)
{
  switch (a->status) {
  case RESOLVE_OK:
    return "mail goes to its MXs";
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

static void print_tlsa(const struct resolve_answer *a, uint32_t host,
                       enum dns_validation validation)
{
  struct tlsa_set set;

  if (a->hosts[host].dane != DANE_RECORDS ||
      tlsa_decode(a->hosts[host].tlsa, a->hosts[host].tlsa_len, &set) == -1) {
    printf("    TLSA: %s\n", dane_words(a->hosts[host].dane, validation));
    return;
  }
  for (uint32_t i = 0; i < set.count; i++) {
    const struct tlsa *t = &set.records[i];
    printf("    TLSA: _%d._tcp.%s %u %u %u ", PROBE_PORT, a->hosts[host].base, t->usage,
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
  const struct tlspolicy *policy = tlspolicy_find(p->policies, p->domain, a->hosts[host].name);
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
  snprintf(s->open.helo, sizeof(s->open.helo), "%s", p->config->rules.me);
  s->open.host_count = 1;
  s->open.hosts[0].ip = a->addresses[i].ip;
  s->open.hosts[0].port = PROBE_PORT;
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
  print_tlsa(a, host, p->validation);
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

int probe_domain(const char *as_typed, const struct dns_config *config,
                 const struct tlspolicies *policies)
{
  static struct resolve_answer a;
  char domain[256]; /* in lower case, as relay-send has it */
  struct probe p = {.domain = domain, .config = config, .policies = policies, .answer = &a};
  uint32_t usable = 0;

  snprintf(domain, sizeof(domain), "%s", as_typed);
  scan_lowercase(domain, strlen(domain));
  if (dns_ask(config, domain, true, &a) == -1) {
    return EXIT_TEMPORARY;
  }
  printf("%s %s\n", domain, status_words(&a));
  if (*a.text) {
    printf("  %s\n", a.text);
  }
  if (a.status != RESOLVE_OK) {
    return a.status == RESOLVE_AGAIN ? EXIT_TEMPORARY : EXIT_PERMANENT;
  }
  if (access("control/smtproutes", F_OK) == 0) {
    printf("  (control/smtproutes is not looked at here: a route of it comes before this)\n");
  }
  for (uint32_t i = 0; i < a.host_count; i++) {
    printf("  MX %u %s\n", a.hosts[i].preference, a.hosts[i].name);
  }
  printf("  answers are good for %u seconds\n", a.ttl);
  p.validation = dns_ask_validation();
  if (policies->dane && p.validation == DNS_VALIDATES_NOT) {
    printf("  warning: the DNS server does not validate: control/tlspolicy's dane is no more than "
           "may\n");
  }
  for (uint32_t i = 0; i < a.address_count; i++) {
    usable += probe_address(&p, i);
  }
  return usable > 0 ? EXIT_OK : EXIT_TEMPORARY;
}
