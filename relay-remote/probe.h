#ifndef PROBE_H
#define PROBE_H

#include "dns.h"

/* relay-remote --check: what would happen to mail for a domain, printed for a person. An exit
 * status. */
int probe_domain(const char *domain, const struct dns_config *config);

#endif
