#ifndef QUEUE_SPARE_H
#define QUEUE_SPARE_H

#include "queue_store.h"

#include <stdbool.h>

/*
 * Spares: the files spare.N of queue/log/, segments to be. Dead segments, and
 * one that is always there: on a full disk it takes the results.
 *
 * A sync of bytes that replace old ones moves nothing through the filesystem's
 * journal; of the first bytes in a block that was only allocated it does, and
 * costs twice the time and a third more bytes on the disk. So a spare that is
 * no dead segment is filled with zeros before it is needed, in small steps
 * behind all other work. Only the first few files are: those go round for as
 * long as mail is delivered as it comes, and where mail piles up filling would
 * double what is written.
 *
 * All of it is the disk thread's, as the store is.
 */
#define SPARE_FILL_FILES 3        /* segments and spares */
#define SPARE_FILL_STEP (1 << 20) /* bytes; a commit waits for one step at the most */

/* At start: a file's name in queue/log/; what is no spare is left alone, a spare too many removed.
 */
void spare_note(struct store *s, const char *name);

/* Sees to it that one spare is there, also after somebody has removed them. 0 or -1. */
int spare_prepare(struct store *s);
/* The next step of filling one. False: there is nothing to fill. */
bool spare_fill(struct store *s);

/* The file of that name becomes a spare; there is room for one. 0 or -1. */
int spare_from(struct store *s, const char *name);
/* A spare gets that name; nothing does if there is none. 0 or -1. */
int spare_take(struct store *s, const char *name);

#endif
