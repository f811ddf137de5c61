#ifndef TRANSACTION_H
#define TRANSACTION_H

#include "session.h"

/*
 * One message to some recipients on one connection. Recipients are counted as
 * in the job, from 0; outcomes are told with their index in the envelope.
 */
#define CONTENT_CHUNK WORK_PIECE_BYTES /* bytes of content read and written at a time */

struct transaction {
  struct session *s;
  const struct work_job *job;
  struct envelope envelope;
  struct outcome outcomes[WORK_RCPTS_MAX];
  bool decided[WORK_RCPTS_MAX];
  bool accepted[WORK_RCPTS_MAX];
  uint32_t accepted_count;
  bool mail_accepted;
  bool has_8bit; /* in the first chunk of the content */
  struct work_end end;
  int64_t started;
  char host[OUTCOME_HOST_SIZE];

  struct buf head; /* the envelope and the first chunk of the content */
  char *first;     /* that chunk, with room for the final dot behind it */
  size_t first_len;
};

/* Reads the envelope and the first chunk. -1 with errno: not the job's message. */
int content_load(struct transaction *t);

/* Is every byte of the header ASCII? 1, 0, or -1 with errno. */
int content_header_is_ascii(struct transaction *t);

/* Sends the content and its final dot, telling relay-send D before it if work.h says so. */
int content_send(struct transaction *t);

/* Gives what is undecided the verdict that is in model. */
void transaction_decide_rest(struct transaction *t, const struct outcome *model);

/* Tells relay-send all outcomes, then the end. */
int transaction_tell(struct transaction *t);

#endif
