#ifndef INJECT_SUBMIT_H
#define INJECT_SUBMIT_H

#include "envelope.h"

/* What is to be submitted: the content is header, body, then rest_fd from its beginning. */
struct inject_message {
  const struct envelope *envelope;
  const struct buf *header;
  const char *body;
  size_t body_len;
  int rest_fd; /* -1 if there is none */
  uint64_t rest_len;
};

/*
 * Hands it to relay-queue over run/inject and waits for the verdict. Returns a
 * status of sysexits.h; unless that is 0 the relay does not have the message.
 * text, of INTAKE_TEXT_SIZE and more, says what happened.
 */
int inject_submit(const struct inject_message *m, char *text, size_t size);

/* The sysexits.h status for a reply, e.g. 550 "5.1.1 no such user". */
int inject_exit_status(int code, const char *text);

#endif
