#ifndef QUEUE_NOTICE_H
#define QUEUE_NOTICE_H

#include "bounce.h"
#include "id.h"
#include "queue_core.h"

/*
 * DSNs: relay-send's B, the job for relay-bounce (one at a time), its answer,
 * and the commit of the DSN together with the end of the recipients that it is
 * about. relay-send gets exactly one D for each B.
 */
struct notice {
  struct disk_job job;
  struct notice *next;
  struct queue *queue;
  struct index_message *message; /* pinned */
  struct origin origin;
  struct bounce_rcpt *rcpts; /* read by the disk thread, from: */
  struct index_rcpt *at;     /* copies, because the loop goes on changing its own */
  uint32_t segment, position;
  int fd;                    /* the message for relay-bounce */
  int error;
  enum { NOTICE_WAITS, NOTICE_READS, NOTICE_ASKED, NOTICE_COMMITS } state;
};

/* B; r stands behind the verb. */
void notice_request(struct queue *q, struct netstring_reader *r);
/* Starts the first one if nothing is at relay-bounce. */
void notice_run(struct queue *q);
/* Takes the socketpair to relay-bounce over. 0 or -1. */
int notice_open(struct queue *q, int fd);

/* From the submission of its DSN: durable or not. The notice is freed. */
void notice_settled(struct queue *q, struct notice *n, bool ok);
const struct origin *notice_origin(const struct notice *n);
/* The id of the message that it is about. */
void notice_origin_id(const struct notice *n, char id[ID_SIZE]);

#endif
