#ifndef DNS_ARES_H
#define DNS_ARES_H

#include "dns_answer.h"
#include "loop.h"

/* Questions to DNS servers through c-ares, in a loop. */

/* servers: dns_config's. Reads /etc/resolv.conf and opens no file after. 0, or -1 with a message.
 */
int dns_ares_start(struct loop *loop, const char *servers, const char **error);

/* Are all servers on this host? Only then is what they say about signatures worth anything. */
bool dns_ares_local(void);

/* Has any answer had the AD bit? */
bool dns_ares_secure_seen(void);

/* Must be called before every wait of the loop; returns how long that may be, in ms, or -1. */
int dns_ares_before_wait(void);

/*
 * Asks; done is called once, perhaps before this returns. answer is valid
 * during the call; error is NULL or says in words why there is no usable one.
 * CNAMEs without their end in the answer are asked for.
 */
void dns_ares_ask(const char *name, enum dns_type type,
                  void (*done)(void *arg, const struct dns_answer *answer, const char *error),
                  void *arg);

#endif
