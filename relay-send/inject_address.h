#ifndef INJECT_ADDRESS_H
#define INJECT_ADDRESS_H

#include "address.h"

/*
 * Address lists as they stand in a message's To (RFC 5322 3.4, with the
 * obsolete forms of 4.4) or on sendmail's command line: names, comments,
 * quoted strings, groups, routes, folded lines. An address without "@" gets
 * "@" and the default domain.
 */

/* One mailbox. end is the offset in the list where its missing "@domain" belongs, else 0. */
typedef int inject_address_found(void *arg, const char *address, size_t end);

/*
 * Calls found for every mailbox, which may stop it by returning other than 0.
 * Returns 0, found's value, or -1 for a list that is malformed; *why says how.
 */
int inject_address_list(const char *list, size_t len, const char *default_domain,
                        inject_address_found *found, void *arg, const char **why);

#endif
