#ifndef AUTHD_SERVE_H
#define AUTHD_SERVE_H

#include "authd_check.h"

#include <stdint.h>

/*
 * The loop of relay-authd: takes attempts (lib/authd.h), has them checked, so
 * many at once, holds answers back where that is due, and writes a line for
 * each. No attempt makes another client's wait but by the limit of checks.
 */
#define AUTHD_PEERS_MAX 2000

struct authd_config {
  char **argv;         /* the checkpassword program and its arguments */
  unsigned checks_max; /* at once */
  bool response_first; /* of CRAM-MD5, see authd_check.h */
};

/* Serves until SIGTERM. Returns the exit status. */
int authd_serve(int listener, const struct authd_config *config);

#endif
