#ifndef CTL_H
#define CTL_H

#include "netstring.h"

/*
 * run/ctl, from relay-ctl to relay-send (group relayctl). One request a
 * connection, answered in rows:
 *
 *   request  verb kind value limit
 *            verb: stat list why retry hold release bounce drop
 *            kind: all id tenant site domain
 *   answer   r type, then name value pairs: one row of the answer
 *            . text: done; text is a summary for people ("12 recipients")
 *            ! text: refused, and why
 *
 * A value begins with its type: "n" a decimal number, "s" a text, "b" 0 or 1.
 * Names are the JSON names of relay-ctl --json; times ("..._ms") are wall clock
 * milliseconds. Rows, and their names in this order:
 *
 *   relay      messages recipients ready active waiting held dsn_due workers
 *              workers_max sites tenants lookups uptime_ms delivered deferred
 *              failed paused old_settings                    (stat, once, first)
 *   selected   kind value messages recipients ready active waiting held dsn_due
 *              (stat tenant:X, site:X, domain:X: instead of relay)
 *   hold       kind value: what an operator holds             (stat)
 *   domain     domain site kind recipients waiting failures trouble trouble_ms
 *              retry_ms held: one that is in trouble, or is asked for (stat)
 *   site       site source window ceiling rate open idle active waiting tenants
 *              signal kind trouble trouble_ms typical_ms retry_ms held  (stat)
 *   tenant     tenant recipients active workers held         (stat)
 *   recipient  id tenant sender recipient site state attempts bytes arrival_ms
 *              next_ms                                       (list)
 *   why        id recipient tenant sender site source state reason attempts
 *              arrival_ms next_ms expires_ms last            (why ID)
 *
 * state: lookup (waits for DNS), ready (waits for a connection), active (on a
 * connection), waiting (until next_ms), held, dsn (failed, notice being made), commit
 * (its client waits for the MX's answer no longer; it is being written to the queue).
 * reason is a sentence for people: all that holds it (parted by "; also: "), what
 * will happen next.
 * A site's rate is messages a minute; ceiling and rate are 0 while none is
 * learnt. signal is what binds it now: source down paused rate slow ceiling
 * window or nothing. kind, trouble and trouble_ms are the last trouble that it had.
 * A domain's kind: dns (no answer), tls (no MX does what control/tlspolicy
 * demands), failed (proven to take no mail) or nothing. Of a selection the
 * rows are those that its recipients have to do with, and recipients counts
 * only these.
 */
#define CTL_PATH "run/ctl"
#define CTL_VERB_SIZE 16
#define CTL_VALUE_SIZE 400

struct ctl_request {
  char verb[CTL_VERB_SIZE];
  char kind[CTL_VERB_SIZE];
  char value[CTL_VALUE_SIZE];
  uint64_t limit; /* rows at the most, 0 for all */
};

int ctl_put_request(struct buf *b, const struct ctl_request *q);
int ctl_get_request(const char *data, size_t len, struct ctl_request *q);

#endif
