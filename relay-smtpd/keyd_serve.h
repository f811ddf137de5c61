#ifndef KEYD_SERVE_H
#define KEYD_SERVE_H

#include "keyd_keys.h"
#include "keyd_sessions.h"

/*
 * The serving half of relay-keyd: answers requests (lib/keyd.h) until SIGTERM,
 * then takes no more connections and ends when the last has ended.
 *
 * So that no single relay-smtpd holds it, or has it sign at will: a process
 * gets KEYD_VISITS_MAX connections in KEYD_CONNECTION_MS, each verb once on a
 * connection, each connection that long.
 */
#define KEYD_VISITS_MAX 4 /* a handshake makes two, each perhaps twice around a restart */
#define KEYD_PEERS_MAX 2000

/* Takes keys and sessions over. Returns the exit status. */
int keyd_serve(int listener, struct keyd_keys *keys, struct keyd_sessions *sessions);

#endif
