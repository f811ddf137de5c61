#ifndef TLS_MEMORY_H
#define TLS_MEMORY_H

#include "work.h"
#include "work_tls.h"

/*
 * What one worker has learnt about TLS with a host, for the next ones: that it
 * does not work (under "may", so that not every connection is made twice), and
 * the session that was agreed on, to be resumed. Kept by address, port and the
 * digest of the demand (tlspolicy_digest()), because a resumed session is not
 * verified again: it serves only where the same would have been verified.
 */
#define TLS_MEMORY_BROKEN_MS 1800000
#define TLS_MEMORY_SESSION_MS 3600000
#define TLS_MEMORY_MAX 10000 /* entries; the oldest goes */
#define TLS_MEMORY_LOOK_MS 60000 /* what is older is wiped within this */

void tls_memory_start(void);

/* Adds reason (demand may) and session to a demand, if they are known. */
void tls_memory_recall(uint64_t digest, const struct work_host *host, struct work_tls *demand);

void tls_memory_learn(uint64_t digest, const struct work_host *host,
                      const struct work_tls_result *result);

#endif
