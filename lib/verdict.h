#ifndef VERDICT_H
#define VERDICT_H

#include "netstring.h"

#include <stdint.h>

/*
 * What became of one recipient in one attempt, as it travels from a worker
 * over relay-send to relay-queue and relay-bounce.
 */
enum verdict {
  VERDICT_DELIVERED = 'd', /* the MX took the message for this recipient */
  VERDICT_DEFERRED = 't',  /* not now: 4xx, a broken session, a failure of our own */
  VERDICT_FAILED = 'f',    /* a well-formed 5xx, or a local proof that it can never work */
  VERDICT_DROPPED = 'x'    /* an operator said relay-ctl drop */
};

/* How far the session was when it was decided. */
enum stage {
  STAGE_NONE = '-', /* no session: routing, expiry, an operator */
  STAGE_CONNECT = 'c',
  STAGE_BANNER = 'b',
  STAGE_HELO = 'h',
  STAGE_TLS = 't',
  STAGE_MAIL = 'm',
  STAGE_RCPT = 'r',
  STAGE_DATA = 'd',
  STAGE_DOT = '.' /* the reply to the final dot, or the wait for it */
};

#define OUTCOME_STATUS_SIZE 12 /* "5.7.509" and room */
#define OUTCOME_HOST_SIZE 320  /* "mx.example.com[192.0.2.1]" */
#define OUTCOME_REPLY_SIZE 1025 /* the reply's text, its lines joined by one blank, escaped, cut */

struct outcome {
  uint32_t rcpt; /* index in the envelope, from 0 */
  enum verdict verdict;
  enum stage stage;
  int code;                         /* the reply's code, 0 if there was no reply */
  char status[OUTCOME_STATUS_SIZE]; /* enhanced status, "5.1.1"; always set */
  char host[OUTCOME_HOST_SIZE];     /* who said it, "" if nobody did */
  char reply[OUTCOME_REPLY_SIZE];   /* what was said, "550 5.1.1 no such user", or our own words */
};

int outcome_put(struct buf *b, const struct outcome *o);
int outcome_get(struct netstring_reader *r, struct outcome *o);

bool verdict_valid(char c);
bool stage_valid(char c);

/* The enhanced status at the head of a reply's text, if it is one of class code/100: its length, else 0. */
size_t status_scan(const char *text, size_t len, int code);

#endif
