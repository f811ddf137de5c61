#ifndef KEYRING_H
#define KEYRING_H

#include "keyd.h"
#include "seqpacket.h"

/*
 * Our end of the channel to relay-keyd (lib/keyd.h). Connects when something
 * is asked, and again if relay-keyd was restarted in between; what was asked
 * on a connection that breaks before the answer is not asked again.
 */
#define KEYRING_PATIENCE_MS 2000 /* to connect while relay-keyd is between two lives */
#define KEYRING_ANSWER_MS 5000
#define KEYRING_PROBLEM_SIZE (KEYD_TEXT_SIZE + 40)

struct keyring {
  int fd;                             /* -1: not connected */
  char problem[KEYRING_PROBLEM_SIZE]; /* why something has failed, "" if nothing has */
  char answer[SEQPACKET_MAX];         /* the last one: keyd_bytes of it point here */
};

void keyring_init(struct keyring *k);
void keyring_close(struct keyring *k); /* what is left of an answer is no secret */

/* Is relay-keyd there? Keeps the connection. */
bool keyring_connect(struct keyring *k);

bool keyring_choose(struct keyring *k, const char *server_name, unsigned kinds,
                    struct keyd_chain *chain);
/* After keyring_choose(), with that key. */
bool keyring_sign(struct keyring *k, unsigned algorithm, const unsigned char *parameters,
                  size_t len, struct keyd_bytes *signature);
/* session->id is given. False: there is none, which is no problem. */
bool keyring_load(struct keyring *k, struct keyd_session *session);
void keyring_save(struct keyring *k, const struct keyd_session *session);

#endif
