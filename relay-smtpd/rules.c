/*
 * Control files and environment. All of it is read at the start, although some
 * of it may not be needed, because then the process can lose open() before it
 * reads its first byte from the network; a look at a file that is not there
 * costs about two microseconds.
 */
#include "rules.h"

#include "intake.h"
#include "scan.h"
#include "transparent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_DEFAULT_S 300 /* RFC 5321 4.5.3.2.7 */
#define TIMEOUT_MAX_S 86400
#define THROUGH_MAX_S 540 /* a client waits 10 minutes: RFC 5321 4.5.3.2.6 */
#define THROUGH_ONLY_DEFAULT_S 120
/* What we add in front (Received) must still fit into INTAKE_CONTENT_MAX. */
#define DATABYTES_MAX (INTAKE_CONTENT_MAX - 4096)

static char error_text[1200];

const char *rules_error(void)
{
  return error_text;
}

static int fail(const char *variable, const char *value, const char *why)
{
  snprintf(error_text, sizeof error_text, "environment variable %s is malformed: %s: %s", variable,
           why, value);
  return -1;
}

/* A missing file is as good as one that was read. */
static int check(enum control_result result)
{
  if (result == CONTROL_OK || result == CONTROL_MISSING) {
    return 0;
  }
  snprintf(error_text, sizeof error_text, "%s", control_error());
  return -1;
}

static int load_number(const char *variable, uint64_t max, uint64_t *value)
{
  const char *s = getenv(variable);
  char why[60];

  if (s && scan_u64(s, strlen(s), max, value) < 0) {
    snprintf(why, sizeof why, "not a number from 0 to %llu", (unsigned long long)max);
    return fail(variable, s, why);
  }
  return 0;
}

static int load_postmaster(struct rules *s)
{
  char value[CONTROL_LINE_MAX + 1];
  enum control_result result = control_line("postmaster", value, sizeof value);

  if (result != CONTROL_OK) {
    return check(result);
  }
  if (address_parse(value, strlen(value), false, s->postmaster) != ADDRESS_OK ||
      !address_domain(s->postmaster)) {
    return check(control_fail("postmaster", 1, "not an address with a domain: %s", value));
  }
  return 0;
}

static int load_control(struct rules *s)
{
  uint64_t timeout = TIMEOUT_DEFAULT_S;

  if (check(control_me(s->me, sizeof s->me)) < 0 ||
      check(control_u64("timeoutsmtpd", 1, TIMEOUT_MAX_S, &timeout)) < 0 ||
      check(control_u64("databytes", 0, DATABYTES_MAX, &s->databytes)) < 0 ||
      check(control_lookup_open("badmailfrom", &s->badmailfrom)) < 0 ||
      check(control_lookup_open("badrcptto", &s->badrcptto)) < 0 || load_postmaster(s) < 0) {
    return -1;
  }
  s->timeout_ms = (int64_t)timeout * 1000;
  return 0;
}

/* What tcpserver says of the connection. Without it (a test by hand) the client is unknown. */
static int load_connection(struct rules *s)
{
  const char *remote = getenv("TCPREMOTEIP"), *host = getenv("TCPREMOTEHOST");
  const char *local = getenv("TCPLOCALIP");
  uint64_t port = 0;
  struct ip ip;

  snprintf(s->client_text, sizeof s->client_text, "unknown");
  if (remote) {
    if (ip_parse(remote, strlen(remote), &s->client) < 0) {
      return fail("TCPREMOTEIP", remote, "not an IP address");
    }
    ip_format(&s->client, s->client_text);
  }
  if (local && ip_parse(local, strlen(local), &ip) == 0) {
    ip_format(&ip, s->local_ip);
  }
  if (load_number("TCPREMOTEPORT", 65535, &port) < 0) {
    return -1;
  }
  if (port > 0) {
    snprintf(s->client_port, sizeof s->client_port, "%u", (unsigned)port & 0xffff);
  }
  /* It comes from the DNS, whose owner is anybody: not malformed, only not used. */
  if (host && address_domain_valid(host, strlen(host), false)) {
    snprintf(s->client_host, sizeof s->client_host, "%s", host);
  }
  return 0;
}

/* As in qmail, the value is appended to each recipient, whose domain it must leave one. */
static int load_relayclient(struct rules *s)
{
  const char *value = getenv("RELAYCLIENT");
  char probe[ADDRESS_MAX + ADDRESS_DOMAIN_MAX], parsed[ADDRESS_SIZE];

  if (!value) {
    return check(control_lookup_open("rcpthosts", &s->rcpthosts));
  }
  s->relay = true;
  if (strlen(value) >= sizeof s->suffix) {
    return fail("RELAYCLIENT", value, "too long");
  }
  snprintf(probe, sizeof probe, "a@b%s", value);
  if (address_parse(probe, strlen(probe), false, parsed) != ADDRESS_OK) {
    return fail("RELAYCLIENT", value, "appended to an address it gives none");
  }
  snprintf(s->suffix, sizeof s->suffix, "%s", value);
  return 0;
}

static int load_tenant(struct rules *s)
{
  const char *tenant = getenv("RELAYTENANT");

  if (tenant) {
    if (!envelope_tenant_valid(tenant, strlen(tenant))) {
      return fail("RELAYTENANT", tenant, "not 1 to 64 printable characters");
    }
    snprintf(s->tenant, sizeof s->tenant, "%s", tenant);
  } else if (s->client.family) {
    ip_tenant(&s->client, s->tenant);
  } else {
    snprintf(s->tenant, sizeof s->tenant, "unknown");
  }
  return 0;
}

/* Which of the four words a variable has; *word keeps its value if it is unset. */
static int load_word(const char *variable, const char *const words[4], const char *why,
                     unsigned *word)
{
  const char *value = getenv(variable);

  for (unsigned i = 0; value && i < 4; i++) {
    if (strcmp(value, words[i]) == 0) {
      *word = i;
      return 0;
    }
  }
  return value ? fail(variable, value, why) : 0;
}

static int load_tls(struct rules *s)
{
  static const char *const words[4] = {[RULES_TLS_NONE] = "none",
                                       [RULES_TLS_MAY] = "may",
                                       [RULES_TLS_REQUIRE] = "require",
                                       [RULES_TLS_IMMEDIATE] = "immediate"};
  unsigned word = RULES_TLS_MAY;

  if (load_word("RELAYTLS", words, "neither none, may, require nor immediate", &word) < 0) {
    return -1;
  }
  s->tls = (enum rules_tls)word;
  if (s->tls == RULES_TLS_NONE || access("control/servercert", F_OK) == 0) {
    return 0;
  }
  if (s->tls != RULES_TLS_MAY) {
    return fail("RELAYTLS", words[word], "needs control/servercert, see relay-keyd(8)");
  }
  s->tls = RULES_TLS_NONE;
  return 0;
}

/* Without the variable, control/checkpassword says that there are passwords to be checked. */
static int load_auth(struct rules *s)
{
  static const char *const words[4] = {[RULES_AUTH_NONE] = "none",
                                       [RULES_AUTH_TLS] = "tls",
                                       [RULES_AUTH_CLEAR] = "clear",
                                       [RULES_AUTH_REQUIRE] = "require"};
  unsigned word = RULES_AUTH_NONE;

  if (!getenv("RELAYAUTH") && access("control/checkpassword", F_OK) == 0) {
    word = RULES_AUTH_TLS;
  }
  if (load_word("RELAYAUTH", words, "neither none, tls, clear nor require", &word) < 0) {
    return -1;
  }
  s->auth = (enum rules_auth)word;
  s->cram = s->auth != RULES_AUTH_NONE && access("control/authcram", F_OK) == 0;
  return 0;
}

/* SECONDS, "only" or "only:SECONDS". */
static int load_through(struct rules *s)
{
  const char *value = getenv("RELAYTHROUGH"), *number = value;
  uint64_t seconds = THROUGH_ONLY_DEFAULT_S;
  bool only;

  if (!value) {
    return 0;
  }
  only = strncmp(value, "only", 4) == 0 && (value[4] == '\0' || value[4] == ':');
  if (only) {
    number = value[4] ? value + 5 : NULL;
  }
  if (number && scan_u64(number, strlen(number), THROUGH_MAX_S, &seconds) < 0) {
    return fail("RELAYTHROUGH", value, "neither seconds from 0 to 540, nor only, nor only:SECONDS");
  }
  s->through = (uint32_t)seconds | (only ? ENVELOPE_THROUGH_ONLY : 0);
  s->through_bytes = INTAKE_THROUGH_BYTES;
  return s->through ? check(control_u64("throughbytes", 0, INTAKE_CONTENT_MAX, &s->through_bytes)) : 0;
}

/* Where it leads is relay-send's to know (control/sources); here it must only be one of them. */
static int load_source(struct rules *s)
{
  const char *source = getenv("RELAYSOURCE");
  bool found = false;

  if (!source) {
    return 0;
  }
  if (!envelope_source_valid(source, strlen(source))) {
    return fail("RELAYSOURCE", source, "not 1 to 64 printable characters");
  }
  if (check(control_contains_name("sources", source, &found)) < 0) {
    return -1;
  }
  if (!found) {
    return fail("RELAYSOURCE", source, "not in control/sources");
  }
  snprintf(s->source, sizeof s->source, "%s", source);
  return 0;
}

static int load_mode(struct rules *s)
{
  static const char *const denied[] = {
    [TRANSPARENT_OK] = NULL,
    [TRANSPARENT_DIRECT] = "554 5.7.1 only connections that were redirected are served here",
    [TRANSPARENT_SELF] = "554 5.4.6 the server that you mean is this relay",
    [TRANSPARENT_LOCAL] = "554 5.4.6 a loopback, link-local or multicast address is no destination",
  };
  const char *mode = getenv("RELAYMODE");
  enum transparent_verdict verdict;

  if (!mode || strcmp(mode, "mx") == 0) {
    return 0;
  }
  if (strcmp(mode, "transparent") != 0) {
    return fail("RELAYMODE", mode, "neither mx nor transparent");
  }
  s->transparent = true;
  if (transparent_find(0, &verdict, s->destination, error_text, sizeof error_text) < 0) {
    return -1;
  }
  s->denied = denied[verdict];
  return 0;
}

static int load_rules(struct rules *s)
{
  const char *barelf = getenv("RELAYBARELF");
  uint64_t priority = ENVELOPE_PRIORITY_DEFAULT;

  if (load_relayclient(s) < 0 || load_tenant(s) < 0 || load_through(s) < 0 ||
      load_source(s) < 0 || load_mode(s) < 0 || load_tls(s) < 0 || load_auth(s) < 0 ||
      load_number("RELAYPRIORITY", 99, &priority) < 0 ||
      load_number("DATABYTES", DATABYTES_MAX, &s->databytes) < 0) {
    return -1;
  }
  s->priority = (int)priority;
  if (s->databytes == 0) { /* qmail-smtpd(8): no limit, which for us is the largest we can hold */
    s->databytes = DATABYTES_MAX;
  }
  if (barelf && strcmp(barelf, "refuse") != 0) {
    if (strcmp(barelf, "normalize") != 0) {
      return fail("RELAYBARELF", barelf, "neither refuse nor normalize");
    }
    s->normalize = true;
  }
  return 0;
}

int rules_load(struct rules *s)
{
  *s = (struct rules){.databytes = 0};
  if (load_control(s) < 0 || load_connection(s) < 0 || load_rules(s) < 0) {
    rules_free(s);
    return -1;
  }
  return 0;
}

void rules_free(struct rules *s)
{
  control_lookup_close(s->rcpthosts);
  control_lookup_close(s->badmailfrom);
  control_lookup_close(s->badrcptto);
  s->rcpthosts = s->badmailfrom = s->badrcptto = NULL;
}
