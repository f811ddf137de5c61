#ifndef AUTHD_CLIENTS_H
#define AUTHD_CLIENTS_H

#include "authd.h"
#include "hash.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Who has failed how often, by the client's address. While an address has
 * failures to its name its attempts are checked one at a time, and each
 * further failure doubles the time before the answer, so guessing gets slow
 * for it, and for nobody else.
 */
#define AUTHD_CLIENTS_MAX 20000      /* addresses remembered; more count as having failed once */
#define AUTHD_FORGET_MS (15 * 60000) /* after the last failure */
#define AUTHD_PER_CLIENT 4           /* checks at once of an address without failures */

struct authd_client {
  char name[AUTHD_CLIENT_SIZE];
  unsigned failures;
  unsigned busy;  /* attempts being checked, or whose answer is held back */
  unsigned refs;  /* attempts in all */
  int64_t forget; /* when failures are forgotten */
};

struct authd_clients {
  struct hash by_name;
};

void authd_clients_init(struct authd_clients *c);

/* NULL: no memory. Each get needs its put. now is clock_monotonic_ms(). */
struct authd_client *authd_clients_get(struct authd_clients *c, const char *name, int64_t now);
void authd_clients_put(struct authd_clients *c, struct authd_client *client, int64_t now);

/* May one more attempt of this client be checked now? */
bool authd_client_may(const struct authd_client *client);

/* Counts a failure; returns for how many ms the answer is held back. */
int64_t authd_client_failed(struct authd_client *client, int64_t now);

/* Forgets those whose time is over; call it every minute or so. */
void authd_clients_sweep(struct authd_clients *c, int64_t now);

#endif
