#ifndef QUEUE_HANDOUT_H
#define QUEUE_HANDOUT_H

#include "queue_core.h"

/* What the disk thread reads for relay-send and relay-bounce. */

/* G and Y of relay-send; r stands behind the verb. */
void handout_message(struct queue *q, struct netstring_reader *r);
void handout_last_words(struct queue *q, struct netstring_reader *r);

/*
 * For the disk thread. A sealed memfd with the message (envelope, content),
 * its checksums checked, or -1 with errno (EILSEQ: damaged). big is a file in
 * queue/big/ or NULL.
 */
int handout_copy(struct store *s, uint32_t segment, uint64_t offset, const char *big);
/* The last outcome of a recipient, from the record that an index_rcpt names. 0 or -1. */
int handout_outcome(struct store *s, const struct index_rcpt *at, uint32_t rcpt, struct entry *e);

/* For the disk thread: header and head of the record there, whole and valid, in b. 0 or -1. */
int handout_head(struct store *s, uint32_t segment, uint64_t offset, struct record *r,
                 struct buf *b);

#endif
