#ifndef SMTPROUTES_H
#define SMTPROUTES_H

#include "control.h"
#include "hash.h"

/*
 * control/smtproutes, as in qmail: "domain:host:port", ".domain:host" for all
 * below it, ":host" for everything. An address literal stands in brackets, as
 * domain or as host: "[::1]:2525" as host part is the host [::1], port 2525.
 * An empty host means the usual MX look-up.
 */
#define SMTPROUTES_DEFAULT_PORT 25

struct smtproute {
  char *domain; /* lower case */
  char *host;   /* "" for the MX look-up, "[...]" for an address */
  int port;
  unsigned line; /* of the file */
};

struct smtproutes {
  struct hash by_domain;
};

void smtproutes_init(struct smtproutes *routes);
enum control_result smtproutes_read(struct smtproutes *routes);
void smtproutes_free(struct smtproutes *routes);

/* One line, and its number. NULL, or what is wrong with it. */
const char *smtproutes_add(struct smtproutes *routes, const char *line, unsigned number);

/* The domain itself, each ".suffix" of it, then the default; NULL: none, so the MX look-up. */
const struct smtproute *smtproutes_find(const struct smtproutes *routes, const char *domain);

#endif
