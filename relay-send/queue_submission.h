#ifndef QUEUE_SUBMISSION_H
#define QUEUE_SUBMISSION_H

#include "queue_client.h"
#include "queue_notice.h"

/*
 * One message on its way in, from a client or from relay-bounce.
 *
 *   (THROUGH ->) RECEIVED -> (PREPARING ->) COMMITTING -> DURABLE -> ANSWERED, or refused
 *
 * THROUGH: relay-send tries it, nothing is on disk (queue_trial.h).
 * RECEIVED: waits for room in the batch or in relay-send's channel; can be
 * withdrawn. PREPARING: the disk thread looks at a big file or makes one.
 * COMMITTING: its record is in a batch; the submitter's going away changes
 * nothing any more.
 */
enum submission_state {
  SUBMISSION_RECEIVED,
  SUBMISSION_THROUGH,
  SUBMISSION_PREPARING,
  SUBMISSION_COMMITTING,
  SUBMISSION_DURABLE,
  SUBMISSION_ANSWERED
};

struct submission {
  enum submission_state state;
  struct submission *next; /* in queue->waiting */
  struct queue *queue;
  struct client *client; /* NULL: from relay-bounce, or the submitter is gone */
  struct notice *notice; /* NULL: from a client */
  struct trial *trial;   /* relay-send knows it, although it is not durable; NULL: not so */
  int fd;                /* a memfd, -1 with a big file */
  uint64_t envelope_len, content_len;
  uint64_t held;         /* bytes that count against the uid */
  uint64_t memory;       /* bytes of control/throughmemory */
  uint32_t through_wanted; /* as in S */
  char big[EXTRA_NAME_SIZE];
  uint64_t content_sum; /* of a big file */
  struct envelope envelope;
  struct index_message *message; /* the submission's to free until it is indexed */
  bool indexed;
  struct buf head; /* of a big file: its envelope */
  pid_t pid;
  uid_t uid;
  bool inject;
};

/* A checked S request. passed_fd is taken over. */
void submission_receive(struct client *c, const struct intake_request *r, int passed_fd);
/* A DSN; fd is taken over. Ends in notice_settled(). */
void submission_notice(struct queue *q, struct notice *n, int fd, uint64_t envelope_len,
                       uint64_t content_len);
/* The one answer. The submission is over, but not freed. */
void submission_answer(struct submission *s, int code, const char *text);
/* Answered and freed. */
void submission_refuse(struct submission *s, int code, const char *text);
void submission_refuse_errno(struct submission *s, int error);
/* What the submitter gave is not a message: it cannot be trusted with another try. */
void submission_refuse_garbled(struct submission *s);
void submission_free(struct submission *s);
/* To disk: now, or when there is room. It may be refused and freed. */
void submission_commit(struct submission *s);

/* The same for one that may be too large for a segment. */
void submission_to_disk(struct submission *s);

/* Its client is gone. */
void submission_orphan(struct submission *s);
/* Those that wait for room, as far as there is some. */
void submission_run_waiting(struct queue *q);
/* The disk thread is done with a big file: error is 0 or an errno. */
void submission_prepared(struct submission *s, int error);

#endif
