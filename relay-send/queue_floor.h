#ifndef QUEUE_FLOOR_H
#define QUEUE_FLOOR_H

#include "queue_core.h"

/*
 * The first floor: below so much free disk space or so few inodes intake
 * answers 452. What is below it, and the one spare segment that the disk
 * thread keeps (and fills, queue_spare.h), is for results, notices and compaction. Looked at each
 * second.
 */
void floor_start(struct queue *q);
/* At once: a segment was opened, and a second may be long at full rate. */
void floor_look(struct queue *q);
/* Returns ms until the next look. */
int floor_run(struct queue *q, int64_t now);

#endif
