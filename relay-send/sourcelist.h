#ifndef SOURCELIST_H
#define SOURCELIST_H

#include "control.h"
#include "hash.h"
#include "ip.h"

/*
 * control/sources: the addresses that mail may leave from, "NAME IPV4 IPV6
 * HELO" a line, with "-" for none: without an IPv4 address no IPv4 host is
 * reached from there, without a HELO name it is control/helohost. RELAYSOURCE
 * names one.
 */
struct sourceline {
  struct ip ip4, ip6; /* family 0: none; never both */
  char *helo;         /* "" for control/helohost; in the same block */
  char name[];
};

struct sourcelist {
  struct hash by_name;
};

void sourcelist_init(struct sourcelist *list);
enum control_result sourcelist_read(struct sourcelist *list);
void sourcelist_free(struct sourcelist *list);

/* One line. NULL, or what is wrong with it. */
const char *sourcelist_add(struct sourcelist *list, const char *line);

/* NULL: there is none of that name. */
const struct sourceline *sourcelist_find(const struct sourcelist *list, const char *name);

/* Do two lists say the same of that name? */
bool sourcelist_same(const struct sourcelist *a, const struct sourcelist *b, const char *name);

/* Can an address be reached from these two (both family 0: from the system's choice)? */
bool source_reaches(const struct ip *ip4, const struct ip *ip6, const struct ip *to);

#endif
