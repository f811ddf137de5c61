#ifndef POLICY_H
#define POLICY_H

#include "rules.h"

/*
 * Who may send from where to where. NULL is yes; otherwise the whole reply,
 * "550 5.7.1 ...". A list that cannot be read is a 451.
 */
const char *policy_sender(const struct rules *s, const char *sender);

/* out is the recipient to be used: with RELAYCLIENT's suffix, or the postmaster's address. */
const char *policy_recipient(const struct rules *s, const char *address, char out[ADDRESS_SIZE]);

#endif
