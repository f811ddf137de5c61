#ifndef PROBE_H
#define PROBE_H

#include "dns.h"
#include "tlspolicy.h"

/*
 * Tells a person, on stdout, what would happen to mail for a domain. Returns
 * the program's exit status.
 */
int probe_domain(const char *domain, const struct dns_config *config,
                 const struct tlspolicies *policies);

#endif
