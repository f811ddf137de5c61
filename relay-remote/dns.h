#ifndef DNS_H
#define DNS_H

#include "control.h"
#include "dns_route.h"
#include "dns_validation.h"

/*
 * The resolver process: answers relay-send's questions (resolve.h) through
 * c-ares, asynchronously, and never holds a message.
 */
struct dns_config {
  char servers[1024]; /* "127.0.0.1:53,[::1]:53"; "" for those of /etc/resolv.conf */
  struct route_rules rules;
};

/* control/resolver, me, ipme, mxlocal. For failures: control_error(). */
enum control_result dns_config_read(struct dns_config *config);

/* The resolver process' whole life on its channel. */
_Noreturn void dns_run(int channel, const struct dns_config *config);

/* One question for a person: asks, and waits for the answer. 0 or -1. */
int dns_ask(const struct dns_config *config, const struct resolve_question *question,
            struct resolve_answer *answer);

/* After dns_ask() with TLSA records: does the server that was asked validate? */
enum dns_validation dns_ask_validation(void);

#endif
