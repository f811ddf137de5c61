#ifndef PROBE_H
#define PROBE_H

#include "dns.h"
#include "smtproutes.h"
#include "tlspolicy.h"

/* What control/ says about the ways of mail. */
struct probe_control {
  struct dns_config dns;
  struct tlspolicies policies;
  struct smtproutes routes;
};

/*
 * Tells a person, on stdout, what would happen to mail for a domain. Returns
 * the program's exit status.
 */
int probe_domain(const char *domain, const struct probe_control *control);

#endif
