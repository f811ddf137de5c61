#include "policy.h"

#include "scan.h"

#include <string.h>

static const char unreadable[] = "451 4.3.5 unable to read control files, try again later";

/* Is the address, or "@" and its domain, in the list? -1: the list cannot be read. */
static int is_listed(struct control_lookup *list, const char *address)
{
  char key[ADDRESS_SIZE];
  const char *domain;
  bool found;

  strcpy(key, address);
  scan_lowercase(key, strlen(key));
  if (control_lookup_has(list, key, &found) != CONTROL_OK) {
    return -1;
  }
  domain = address_domain(key);
  if (!found && domain && control_lookup_has(list, domain - 1, &found) != CONTROL_OK) {
    return -1;
  }
  return found;
}

const char *policy_sender(const struct rules *s, const char *sender)
{
  if (!*sender) {
    return NULL;
  }
  /* No bounce could ever be sent there, and most of the world would refuse it. */
  if (!address_domain(sender)) {
    return "553 5.1.7 the sender address needs a domain";
  }
  switch (is_listed(s->badmailfrom, sender)) {
  case 0:
    return NULL;
  case 1:
    return "553 5.7.1 this sender address is not accepted here (badmailfrom)";
  default:
    return unreadable;
  }
}

/* RFC 5321 4.1.1.3: <postmaster> without a domain must be taken, where there is one. */
static const char *to_postmaster(const struct rules *s, const char *address, char out[ADDRESS_SIZE])
{
  if (!scan_case_equal(address, strlen(address), "postmaster", 10)) {
    return "553 5.1.3 the recipient address needs a domain";
  }
  if (!*s->postmaster) {
    return "550 5.1.1 there is no postmaster at this relay";
  }
  strcpy(out, s->postmaster);
  return NULL;
}

static const char *append_suffix(const struct rules *s, const char *address, char out[ADDRESS_SIZE])
{
  char with[2 * ADDRESS_SIZE];

  strcpy(with, address);
  strcat(with, s->suffix); /* shorter than ADDRESS_SIZE */
  if (address_parse(with, strlen(with), true, out) != ADDRESS_OK) {
    return "553 5.1.3 recipient address too long, or ends in an address literal";
  }
  return NULL;
}

const char *policy_recipient(const struct rules *s, const char *address, char out[ADDRESS_SIZE])
{
  const char *domain = address_domain(address);
  bool found;

  if (!domain) {
    return to_postmaster(s, address, out);
  }
  switch (is_listed(s->badrcptto, address)) {
  case 0:
    break;
  case 1:
    return "550 5.7.1 mail to this address is not accepted here (badrcptto)";
  default:
    return unreadable;
  }
  if (s->relay) {
    return append_suffix(s, address, out);
  }
  if (control_lookup_has_domain(s->rcpthosts, domain, &found) != CONTROL_OK) {
    return unreadable;
  }
  if (!found) {
    return "550 5.7.1 relaying denied: your address may not send through here to that domain";
  }
  strcpy(out, address);
  return NULL;
}
