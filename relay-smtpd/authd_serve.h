#ifndef AUTHD_SERVE_H
#define AUTHD_SERVE_H

#include <stdbool.h>

/*
 * The serving half of relay-authd: takes attempts (lib/authd.h), has the root
 * half check them (authd_ask.h), so many at once, holds answers back where that
 * is due, and writes a line for each. No attempt makes another client's wait
 * but by the limit of checks.
 */
#define AUTHD_PEERS_MAX 2000

struct authd_config {
  const char *program; /* for messages */
  unsigned checks_max; /* at once */
  bool response_first; /* of CRAM-MD5, see authd_ask.h */
};

/* Serves until the root half is gone. Returns the exit status. */
int authd_serve(int listener, int root, const struct authd_config *config);

#endif
