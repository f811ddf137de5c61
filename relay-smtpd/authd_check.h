#ifndef AUTHD_CHECK_H
#define AUTHD_CHECK_H

#include "authd.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * Runs a checkpassword-compatible program (cr.yp.to/checkpwd/interface.html):
 * what it is to check comes on fd 3, as strings that end in NUL, and its exit
 * status is the answer.
 *
 *   PLAIN, LOGIN   user, password, "" (no timestamp)
 *   CRAM-MD5       user, challenge, response (as cmd5checkpw has it), or
 *                  user, response, challenge (as qmail-authuser has it)
 *
 * Its environment is PATH, PROTO=SMTP and TCPREMOTEIP; 0 and 1 are /dev/null,
 * 2 is the log.
 */
#define AUTHD_INPUT_MAX 512 /* bytes on fd 3, as checkpassword has it */

enum authd_result { AUTHD_GOOD, AUTHD_BAD, AUTHD_UNKNOWN };

/*
 * Starts argv[0] in a process group of its own. Its pid, or -1 with errno; EMSGSIZE: more than
 * fits on fd 3.
 */
pid_t authd_check_start(char **argv, const struct authd_request *q, bool response_first);

/* What a wait status means: 0 is good, 1 bad, all else a failure of the program. */
enum authd_result authd_check_result(int status);

#endif
