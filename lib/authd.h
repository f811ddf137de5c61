#ifndef AUTHD_H
#define AUTHD_H

#include "buf.h"

/*
 * The channel to the passwords: run/authd (relay-smtpd; group relayd).
 * SEQPACKET, a connection for each attempt; netstring fields, the first is the
 * verb. One request, one answer.
 *
 *   request                                   answer
 *   P client user password                    + | - | T text
 *   C client user challenge response          the same
 *
 * P is AUTH PLAIN and LOGIN, C is CRAM-MD5 (RFC 2195; response is the digest in
 * hexadecimal). client is the client's address, by which failures are counted:
 * the answer "-", no, is held back the longer the more of them there were. "T"
 * is "not now", with a reason for the log. A garbled request, or a second one,
 * ends the connection.
 */
#define AUTHD_PATH "run/authd"
#define AUTHD_ANSWER_MS 90000 /* by then there is an answer: AUTHD_WAIT, _RUN and _DELAY below */

#define AUTHD_WAIT_MS 30000  /* for its turn */
#define AUTHD_RUN_MS 20000   /* the checkpassword program has */
#define AUTHD_DELAY_MS 30000 /* the longest delay after a failure */

#define AUTHD_CLIENT_SIZE 64
#define AUTHD_USER_SIZE 65 /* a tenant's name: envelope_tenant_valid() */
#define AUTHD_SECRET_SIZE 256
#define AUTHD_TEXT_SIZE 100

struct authd_request {
  char verb; /* 'P' or 'C' */
  char client[AUTHD_CLIENT_SIZE];
  char user[AUTHD_USER_SIZE];
  char password[AUTHD_SECRET_SIZE];                               /* P */
  char challenge[AUTHD_SECRET_SIZE], response[AUTHD_SECRET_SIZE]; /* C */
};

/* 0, or -1: no memory, or a field that the other side would not take. */
int authd_put_request(struct buf *b, const struct authd_request *q);
int authd_get_request(const char *data, size_t len, struct authd_request *q);

/* verb is '+', '-' or 'T'; text is for 'T'. */
int authd_put_answer(struct buf *b, char verb, const char *text);
int authd_get_answer(const char *data, size_t len, char *verb, char text[AUTHD_TEXT_SIZE]);

#endif
