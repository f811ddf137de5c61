/* control/tlspolicy: its lines, which of them counts, and what it asks of a connection. */
#include "tlspolicy.h"

#include "address.h"
#include "ip.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT_OF_MEMORY "out of memory"
#define PINS_MAX 16 /* fingerprints in a line */

static const struct {
  const char *name;
  enum tls_kind kind;
} kinds[] = {
  {"none", TLS_NONE},
  {"may", TLS_MAY},
  {"encrypt", TLS_ENCRYPT},
  {"verify", TLS_VERIFY},
  {"fingerprint", TLS_FINGERPRINT},
  {"dane", TLS_DANE},
};

static const void *key(const void *item, size_t *len)
{
  const struct tlspolicy *policy = item;

  *len = strlen(policy->name);
  return policy->name;
}

void tlspolicy_init(struct tlspolicies *policies)
{
  hash_init(&policies->by_name, key);
  policies->dane = false;
}

static void policy_free(struct tlspolicy *policy)
{
  free(policy->arguments);
  free(policy->pins);
  free(policy);
}

void tlspolicy_free(struct tlspolicies *policies)
{
  size_t cursor = 0;
  struct tlspolicy *policy;

  while ((policy = hash_next(&policies->by_name, &cursor)) != NULL) {
    policy_free(policy);
  }
  hash_free(&policies->by_name);
}

static bool name_valid(const char *s, size_t len)
{
  struct ip ip;

  if (len > 0 && *s == '[') {
    return ip_parse_literal(s, len, &ip) == 0;
  }
  if (len > 0 && *s == '.') {
    s++;
    len--;
  } else if (len == 0) {
    return true; /* the default */
  }
  return address_domain_valid(s, len, true);
}

/* "mx", "domain", a host name, ".suffix", separated by colons; without any: mx. */
static const char *take_names(struct tlspolicy *policy, const char *s)
{
  char *out = malloc(strlen(s) + sizeof("mx"));
  size_t len, at = 0, dot;

  if (!out) {
    return OUT_OF_MEMORY;
  }
  policy->arguments = out;
  strcpy(out, "mx");
  while (*s) {
    len = strcspn(s, ":");
    dot = *s == '.';
    if (len <= dot || !address_domain_valid(s + dot, len - dot, false)) {
      return "not mx, domain, a host name or .suffix after verify";
    }
    memcpy(out + at, s, len);
    scan_lowercase(out + at, len);
    at += len;
    out[at++] = ' ';
    s += len + (s[len] == ':');
    out[at - 1] = *s ? ' ' : '\0';
  }
  return NULL;
}

static int hex_digit(char c)
{
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* SHA-256s as 64 hexadecimal digits each; colons may stand anywhere, as openssl writes them. */
static const char *take_pins(struct tlspolicy *policy, const char *s)
{
  size_t digits = 0;
  int value;

  policy->pins = calloc(PINS_MAX, WORK_TLS_PIN_SIZE);
  if (!policy->pins) {
    return OUT_OF_MEMORY;
  }
  for (; *s; s++) {
    value = hex_digit(*s);
    if (*s == ':') {
      continue;
    }
    if (value == -1 || digits == PINS_MAX * WORK_TLS_PIN_SIZE * 2) {
      return "not SHA-256 fingerprints of 64 hexadecimal digits, or more than 16 of them";
    }
    policy->pins[digits / 2] = (unsigned char)(policy->pins[digits / 2] << 4 | value);
    digits++;
  }
  if (digits == 0 || digits % (WORK_TLS_PIN_SIZE * 2) != 0) {
    return "not SHA-256 fingerprints of 64 hexadecimal digits";
  }
  policy->pins_len = (uint32_t)(digits / 2);
  return NULL;
}

static const char *take_policy(struct tlspolicy *policy, const char *s)
{
  size_t len = strcspn(s, ":"), i;
  const char *arguments = s + len + (s[len] == ':');

  for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (scan_case_equal(s, len, kinds[i].name, strlen(kinds[i].name))) {
      break;
    }
  }
  if (i == sizeof(kinds) / sizeof(kinds[0])) {
    return "not none, may, encrypt, verify, fingerprint or dane after the name";
  }
  policy->kind = kinds[i].kind;
  if (policy->kind == TLS_VERIFY) {
    return take_names(policy, arguments);
  }
  if (policy->kind == TLS_FINGERPRINT) {
    return take_pins(policy, arguments);
  }
  if (policy->kind == TLS_DANE && strcmp(arguments, "only") == 0) {
    policy->only = true;
    return NULL;
  }
  return *arguments ? "this policy takes no such argument" : NULL;
}

const char *tlspolicy_add(struct tlspolicies *policies, const char *line)
{
  const char *closing = *line == '[' ? strchr(line, ']') : NULL, *from = closing ? closing : line;
  const char *colon = strchr(from, ':'), *wrong;
  struct tlspolicy *policy;
  size_t len;

  if (!colon) {
    return "not NAME:POLICY[:ARGUMENTS]";
  }
  len = (size_t)(colon - line);
  if (!name_valid(line, len)) {
    return "not a domain, a host name or .suffix before the first colon";
  }
  policy = calloc(1, sizeof(*policy) + len + 1);
  if (!policy) {
    return OUT_OF_MEMORY;
  }
  memcpy(policy->name, line, len);
  scan_lowercase(policy->name, len);
  wrong = take_policy(policy, colon + 1);
  if (!wrong && hash_find(&policies->by_name, policy->name, len)) {
    wrong = "this name has a line already";
  }
  if (!wrong && hash_insert(&policies->by_name, policy) == -1) {
    wrong = OUT_OF_MEMORY;
  }
  if (wrong) {
    policy_free(policy);
    return wrong;
  }
  policies->dane = policies->dane || policy->kind == TLS_DANE;
  return NULL;
}

enum control_result tlspolicy_read(struct tlspolicies *policies)
{
  struct control_list list;
  enum control_result result = control_list("tlspolicy", &list);
  const char *wrong;

  if (result != CONTROL_OK) {
    return result;
  }
  for (size_t i = 0; i < list.count && result == CONTROL_OK; i++) {
    wrong = tlspolicy_add(policies, list.lines[i]);
    if (wrong) {
      result = control_fail("tlspolicy", list.number[i], "%s: %s", wrong, list.lines[i]);
    }
  }
  control_list_free(&list);
  return result;
}

/* The name itself, then each ".suffix" of it. A literal has dots but no suffixes. */
static const struct tlspolicy *find_name(const struct tlspolicies *policies, const char *name)
{
  const struct tlspolicy *policy = NULL;
  const char *dot;

  if (*name) {
    policy = hash_find(&policies->by_name, name, strlen(name));
    for (dot = *name == '[' ? NULL : strchr(name, '.'); !policy && dot;
         dot = strchr(dot + 1, '.')) {
      policy = hash_find(&policies->by_name, dot, strlen(dot));
    }
  }
  return policy;
}

const struct tlspolicy *tlspolicy_find(const struct tlspolicies *policies, const char *domain,
                                       const char *mx)
{
  const struct tlspolicy *policy = find_name(policies, domain);

  policy = policy ? policy : find_name(policies, mx);
  return policy ? policy : hash_find(&policies->by_name, "", 0);
}

static void bar(struct work_tls *demand, const char *reason)
{
  demand->kind = TLS_BARRED;
  snprintf(demand->reason, sizeof(demand->reason), "%s", reason);
}

/* The policy's names, with "mx" and "domain" replaced by what they stand for. */
static void fill_names(const struct tlspolicy *policy, const struct tls_host *host,
                       struct work_tls *demand)
{
  const char *s = policy->arguments;
  size_t len, at = 0;

  while (*s) {
    const char *word = s;
    len = strcspn(s, " ");
    s += len + (s[len] == ' ');
    if (len == 2 && memcmp(word, "mx", 2) == 0) {
      word = host->mx;
      len = strlen(word);
    } else if (len == 6 && memcmp(word, "domain", 6) == 0) {
      word = host->domain;
      len = strlen(word);
    }
    if (len > 0 && at + len + 2 <= sizeof(demand->names)) {
      at += (size_t)snprintf(demand->names + at, sizeof(demand->names) - at, "%s%.*s",
                             at > 0 ? " " : "", (int)len, word);
    }
  }
  if (at == 0) {
    bar(demand, "control/tlspolicy says verify, and an address has no name to be verified");
  }
}

/* RFC 7672 2.2: what the answers about the host's TLSA records make of "dane". */
static void fill_dane(const struct tlspolicy *policy, const struct tls_host *host,
                      struct work_tls *demand)
{
  switch (host->dane) {
  case DANE_RECORDS:
    demand->kind = TLS_DANE;
    snprintf(demand->sni, sizeof(demand->sni), "%s", host->base);
    /* RFC 7672 3.2.2: for usage 2 the base domain, or the domain that the mail is for. */
    snprintf(demand->names, sizeof(demand->names), "%s %s", host->base, host->domain);
    memcpy(demand->pins, host->tlsa, host->tlsa_len);
    demand->pins_len = (uint32_t)host->tlsa_len;
    return;
  case DANE_FAILED:
    bar(demand, "its TLSA records could not be looked up (no answer, or a bogus one)");
    return;
  case DANE_REMOTE:
    bar(demand, "control/tlspolicy says dane, and the DNS server is not on this host "
                "(control/resolver)");
    return;
  case DANE_UNUSABLE:
    if (!policy->only) {
      demand->kind = TLS_ENCRYPT;
      return;
    }
    break;
  case DANE_UNASKED:
    if (*host->mx) {
      bar(demand, "its TLSA records have not been looked up yet");
      return;
    }
    break;
  case DANE_INSECURE:
  case DANE_NONE:
    break;
  }
  demand->kind = TLS_MAY;
  if (policy->only) {
    bar(demand, host->dane == DANE_UNUSABLE ? "none of its TLSA records is of a usable kind"
                                            : "it has no TLSA records in a signed zone");
  }
}

void tlspolicy_demand(const struct tlspolicy *policy, const struct tls_host *host,
                      struct work_tls *demand)
{
  memset(demand, 0, sizeof(*demand));
  demand->kind = policy ? policy->kind : TLS_MAY;
  snprintf(demand->sni, sizeof(demand->sni), "%s", host->mx);
  if (demand->kind == TLS_VERIFY) {
    fill_names(policy, host, demand);
  } else if (demand->kind == TLS_FINGERPRINT) {
    memcpy(demand->pins, policy->pins, policy->pins_len);
    demand->pins_len = policy->pins_len;
  } else if (demand->kind == TLS_DANE) {
    fill_dane(policy, host, demand);
  }
}

uint64_t tlspolicy_digest(const struct work_tls *demand)
{
  unsigned char all[1 + WORK_TLS_NAMES_SIZE + WORK_TLS_PINS_MAX];
  size_t names = strlen(demand->names) + 1;

  all[0] = (unsigned char)demand->kind;
  memcpy(all + 1, demand->names, names);
  memcpy(all + 1 + names, demand->pins, demand->pins_len);
  return hash_bytes(all, 1 + names + demand->pins_len);
}

const char *tlspolicy_kind_name(enum tls_kind kind)
{
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (kinds[i].kind == kind) {
      return kinds[i].name;
    }
  }
  return "barred";
}
