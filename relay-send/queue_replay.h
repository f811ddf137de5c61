#ifndef QUEUE_REPLAY_H
#define QUEUE_REPLAY_H

#include "queue_index.h"
#include "queue_store.h"

/*
 * Reads all segments in order and makes the index of what is live: headers
 * and heads only. Contents are skipped, but for the last record's, and those
 * of copies and DSNs where what they replace or end is still there: a crash
 * may have cut these off. Damage is copied to
 * queue/quarantine/ and told, never fatal. With a read-only store nothing is
 * written and nothing is told.
 */
struct replay_counts {
  uint64_t records, damaged; /* damaged: ranges of bytes that were no record */
  uint64_t strays;           /* valid, but about nothing that is there */
};

/* 0, or -1 with errno: memory, or a file that cannot be read. */
int replay_run(struct store *s, struct index *x, struct replay_counts *counts);

#endif
