#ifndef QUEUE_ADMIT_H
#define QUEUE_ADMIT_H

#include "queue_submission.h"

/*
 * Writes a submission's record (MESSAGE or BIG) into the collecting batch and
 * its message into the index. When the batch is durable the submitter has its
 * 250 and relay-send is told; else it is refused.
 *
 * Functions that say "refused" have answered the submission and freed it.
 */

/* There is room (commit_has_room()). A memfd's envelope is decoded here, unless through did it. */
void admit_commit(struct submission *s);

/* The message of a decoded envelope, with a serial of its own, in no table yet. NULL: refused. */
struct index_message *admit_message(struct submission *s);

/* relay-queue's own line about a submission, the one whose pid and uid are the kernel's. */
void admit_log(struct submission *s, const char *word);

#endif
