#ifndef QUEUE_TRIAL_H
#define QUEUE_TRIAL_H

#include "queue_store.h"
#include "queue_submission.h"

/*
 * Through: a message that relay-send tries before anything of it is written,
 * while its submitter waits (dispatch.h tells the rules). The memfd stays here
 * too, so that it can be committed at any time. When the submitter goes away
 * while nothing is committed the message is taken back.
 *
 * A submission has a struct trial from trial_begin() to its end; it is
 * in the table of those that relay-send may speak of until its record is in a
 * batch, and from then on its message is in the index.
 */
struct trial {
  uint64_t serial;
  struct submission *submission;
  struct dispatch_result **results; /* by recipient; NULL: none yet */
  uint32_t rcpts;                   /* recipients; the message may be gone before this is */
  uint32_t settled;                 /* of them, with a result */
  bool tabled;                      /* in queue->through */
  bool over;                        /* relay-send needs no C */
};

void trial_start(struct queue *q);

/*
 * The submission asks for through. False: it cannot have it now and is to be
 * committed. True: it is being tried, or refused and freed.
 */
bool trial_begin(struct submission *s);

struct trial *trial_find(const struct queue *q, uint64_t serial);
uint32_t trial_rcpts(const struct trial *t);
/* All of an R about it, then the decision: a verdict, a commit, or neither yet. */
void trial_result(struct trial *t, const struct dispatch_result *r);
void trial_decide(struct trial *t);
/* T; r stands behind the verb. */
void trial_request(struct queue *q, struct netstring_reader *r);

/* Its submitter is gone: if nothing is committed it is taken back and freed. */
void trial_withdraw(struct submission *s);
/* relay-send is gone: each is committed, or refused if it may not be. */
void trial_end_all(struct queue *q);

/* For queue_admit.c: what is known of the recipients, into record and index; its record is in a
 * batch; the batch is durable. */
int trial_put_states(struct submission *s, struct buf *b);
void trial_committing(struct submission *s);
void trial_committed(struct submission *s, const struct settlement *t);

/* With the submission. relay-send is told C 0 unless it needs none. */
void trial_free(struct submission *s);

#endif
