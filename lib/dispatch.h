#ifndef DISPATCH_H
#define DISPATCH_H

#include "envelope.h"
#include "verdict.h"

/*
 * The socketpair between relay-queue and relay-send. Netstring fields, the
 * first is the verb. relay-queue's serial names a message.
 *
 * relay-queue to relay-send:
 *   M  a message, or a part of its recipients (struct dispatch_message, then
 *      dispatch_rcpts): at start for all that is in the queue (then several, each
 *      with its verb, may be in one datagram), then for each new one as soon as
 *      it is durable. The last part of a new one brings
 *      the fd, to be kept if an attempt starts at once and else closed.
 *      With through it is not durable: a message to be tried before anything is
 *      written (below).
 *   E  all of the queue has been told: deliveries may begin.
 *   F  serial ok text (+ fd): answer to G. ok 0: it could not be read.
 *   D  serial ok: answer to B. ok 1: the DSN is durable and the recipients
 *      named in the B have ended (kind 'd': the delay is noted).
 *   Y  token text: answer to Y.
 *   P  paused: 1 while results cannot be written: start no attempt. 0: go on.
 *   S  stop as at TERM: relay-bounce is gone, so all will be started again.
 *   N  key value: an operator's note (a hold), at start, before E.
 *   C  serial ok: a message of through. ok 1: it is durable now and a message
 *      like any other. ok 0: its submitter has an answer, or is gone, and keeps
 *      it: no attempt is to start, what runs is to be cancelled, nothing of it is
 *      to be told any more.
 *
 * relay-send to relay-queue:
 *   G  serial: give me the message's fd.
 *   R  serial, then per recipient dispatch_result: write this down. It is
 *      durable within 200 ms; no answer. What has no DSN due and is not
 *      deferred has ended with this.
 *   B  serial kind n, then n indexes: make a DSN of kind 'f' (failed), 'd'
 *      (delayed), 's' (relayed to a server without DSN) for these recipients.
 *      At most one B of a serial is open at a time.
 *   Y  token serial rcpt: what was last said about this recipient?
 *   N  key value: keep this note ("" forgets it).
 *   T  serial text: through cannot go on: no connection is free, or the time is
 *      over. text (a status, then words) is the reply for who may not be
 *      queued. Everything but a running attempt waits for C.
 *
 * Through. relay-queue has the message in memory, its submitter waiting. R is
 * kept in memory, too. When every recipient has an outcome and none is
 * deferred or owed a DSN, the submitter gets the MX's words and the message is
 * over on both sides, without C. When all are refused, it gets those, and C 0
 * follows for what relay-send thinks is owed. Else, when one is deferred or at T,
 * the message is committed with the states that it has by then, then C 1; what a
 * running attempt says later is a RESULT like any other. With
 * ENVELOPE_THROUGH_ONLY nothing is ever committed: a deferral or T is the
 * submitter's 4xx, and C 0.
 *
 * Either side that sees end-of-file ends: relay-queue after it has written
 * and synced every R that it received.
 */
#define DISPATCH_RCPTS_PER_PART 100
#define DISPATCH_NOTE_KEY_SIZE 400
#define DISPATCH_NOTE_VALUE_SIZE 400

enum rcpt_state {
  RCPT_PENDING = 'p',   /* to be delivered */
  RCPT_FAILED_DUE = 'f',  /* failed, its DSN not made yet */
  RCPT_RELAYED_DUE = 's', /* delivered, its success DSN not made yet */
  RCPT_ENDED = 'e'      /* never sent over this channel */
};

struct dispatch_message {
  uint64_t serial;
  char id[ID_SIZE];
  char sender[ADDRESS_SIZE];
  char tenant[ENVELOPE_TENANT_SIZE];
  char source[ENVELOPE_SOURCE_SIZE];
  char destination[ENVELOPE_DESTINATION_SIZE];
  int priority;
  int flags; /* ENVELOPE_* */
  int64_t arrival;
  uint32_t envelope_len;
  uint64_t content_len;
  uint32_t rcpts_total; /* live ones, over all parts */
  uint32_t through;     /* not 0: seconds that the submitter waits, or ENVELOPE_THROUGH_ONLY and these */
  bool last;            /* the last part */
};

struct dispatch_rcpt {
  uint32_t rcpt; /* index in the envelope */
  char address[ADDRESS_SIZE];
  int notify;
  enum rcpt_state state;
  uint32_t attempts;
  int64_t next; /* wall clock ms of the next attempt, 0 for now */
  bool delay_told; /* a delay DSN was sent */
};

int dispatch_put_message(struct buf *b, const struct dispatch_message *m, uint32_t rcpts_here);
int dispatch_put_rcpt(struct buf *b, const struct dispatch_rcpt *r);
/* After the verb. *rcpts_here is how many dispatch_get_rcpt() follow. */
int dispatch_get_message(struct netstring_reader *r, struct dispatch_message *m,
                         uint32_t *rcpts_here);
int dispatch_get_rcpt(struct netstring_reader *r, struct dispatch_rcpt *rcpt);

struct dispatch_result {
  struct outcome outcome;
  uint32_t attempts; /* with this one */
  int64_t next;      /* deferred: wall clock ms of the next attempt */
  bool dsn_due;      /* failed or delivered, and a DSN is owed */
};

int dispatch_put_result(struct buf *b, const struct dispatch_result *r);
int dispatch_get_result(struct netstring_reader *r, struct dispatch_result *result);

#endif
