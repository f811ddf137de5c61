#ifndef AUTHD_CHECK_H
#define AUTHD_CHECK_H

#include "authd_ask.h"

/*
 * A process of a checkpassword-compatible program. What it is to check comes
 * on fd 3, its exit status is the answer. Its environment is PATH, PROTO=SMTP
 * and TCPREMOTEIP; 0 and 1 are /dev/null, 2 is the log.
 */

/* Starts argv[0] in a process group of its own; ask is valid. Its pid, or -1 with errno. */
pid_t authd_check_start(char **argv, const struct authd_ask *ask);

#endif
