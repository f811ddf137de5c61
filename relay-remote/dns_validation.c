/* Whether the DNS server validates, found out once. */
#include "dns_validation.h"

#include "dns_ares.h"

static bool asking, found_not;
static void (*tell)(void);

enum dns_validation dns_validation(void)
{
  return dns_ares_secure_seen() ? DNS_VALIDATES
         : found_not            ? DNS_VALIDATES_NOT
                                : DNS_VALIDATION_UNKNOWN;
}

/* The AD bit of this answer has been seen by dns_ares. No answer proves nothing: a later question
 * asks again. */
static void take(void *arg, const struct dns_answer *answer, const char *error)
{
  (void)arg;
  (void)error;
  asking = false;
  found_not = answer->status != DNS_FAILED && !answer->secure;
  tell();
}

void dns_validation_ask(void (*done)(void))
{
  if (asking || dns_validation() != DNS_VALIDATION_UNKNOWN) {
    return;
  }
  asking = true;
  tell = done;
  dns_ares_ask(".", DNS_NS, take, NULL);
}
