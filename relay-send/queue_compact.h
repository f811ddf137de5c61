#ifndef QUEUE_COMPACT_H
#define QUEUE_COMPACT_H

#include "queue_core.h"

/*
 * Segments end oldest first. One without live messages goes at once; when the
 * log holds more than twice the live bytes and four segments, the oldest
 * one's live messages are copied to the end, a little at a time.
 */
void compact_run(struct queue *q, int64_t now);

#endif
