#ifndef QUEUE_BIG_H
#define QUEUE_BIG_H

#include "queue_client.h"

/*
 * Files in queue/big/: a message past INTAKE_BIG_BYTES, laid out like a memfd.
 * The submitter writes it by a descriptor that relay-queue opened, under its
 * own RLIMIT_FSIZE; a lease proves that it writes no more.
 */

/* B: answers with a new file and its name. */
void big_open(struct client *c);
/*
 * Has the disk thread check and sync the submission's file, or make one of a
 * memfd too large for a segment or of what was injected. Ends in
 * submission_prepared(), with s->big, head, lengths and content_sum set.
 */
void big_prepare(struct submission *s);
/* Has the disk thread unlink it. */
void big_forget(struct queue *q, const char *name);
/* At start: removes what no message refers to. */
void big_clean(struct store *s, const struct index *x);

/* For the disk thread: the content of a file, checked against sum, to out at an offset. 0 or -1. */
int big_copy(struct store *s, const char *name, uint64_t content_len, uint64_t sum, int out,
             uint64_t at);

#endif
