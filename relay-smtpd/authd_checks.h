#ifndef AUTHD_CHECKS_H
#define AUTHD_CHECKS_H

#include <sys/types.h>

/*
 * The root half of relay-authd: a process of the program for each datagram of
 * authd_ask.h, and its end told. The bounds are kept here, so that whoever
 * takes the server over has no more than them:
 *
 *   max at once, each for AUTHD_RUN_MS (authd.h); its process group is killed then
 *   a process that did not say yes keeps its place for AUTHD_REST_MS more: at
 *   most max * 1000 / AUTHD_REST_MS wrong passwords in a second, be the program
 *   ever so fast
 */
#define AUTHD_REST_MS 100

/*
 * Until SIGTERM, or until the server is gone or sends what is no authd_ask.
 * SIGTERM and SIGCHLD are blocked, and were when the server was forked. Ends
 * all checks and the server; returns the exit status.
 */
int authd_checks(int channel, pid_t server, char **argv, unsigned max);

#endif
