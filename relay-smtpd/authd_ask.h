#ifndef AUTHD_ASK_H
#define AUTHD_ASK_H

#include "authd.h"
#include "ip.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The channel between the halves of relay-authd: a socketpair, SEQPACKET. Each
 * datagram is one of these structs, whole, so that the half that is root
 * decodes nothing.
 *
 *   server -> root   struct authd_ask    have this checked
 *   root -> server   struct authd_told   how that check has ended; one for each
 *
 * What the program is to read, its fd 3 (cr.yp.to/checkpwd/interface.html), is
 * three strings that end in NUL:
 *
 *   PLAIN, LOGIN   user, password, "" (no timestamp)
 *   CRAM-MD5       user, challenge, response (as cmd5checkpw has it), or
 *                  user, response, challenge (as qmail-authuser has it)
 *
 * A datagram that is no authd_ask ends both halves: it does not come from our
 * own code. More than may run at once wait in the socket.
 */
#define AUTHD_INPUT_MAX 512 /* bytes on fd 3, as checkpassword has it */

struct authd_ask {
  uint32_t number;  /* the server's; comes back */
  uint32_t len;     /* of input */
  struct ip client; /* TCPREMOTEIP; family 0: it has no address */
  char input[AUTHD_INPUT_MAX];
};

enum authd_outcome {
  AUTHD_ENDED,      /* status is waitpid()'s */
  AUTHD_LATE,       /* its time was over; it was killed */
  AUTHD_NOT_STARTED /* status is errno */
};

struct authd_told {
  uint32_t number;
  int32_t outcome, status;
};

/* All of it but the number. False: more than fits on fd 3. Wipe it in any case. */
bool authd_ask_fill(struct authd_ask *ask, const struct authd_request *q, bool response_first);

/* Is this, of len bytes, an authd_ask of that form? The user is a tenant's name. */
bool authd_ask_valid(const struct authd_ask *ask, ssize_t len);

#endif
