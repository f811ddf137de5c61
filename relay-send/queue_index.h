#ifndef QUEUE_INDEX_H
#define QUEUE_INDEX_H

#include "hash.h"
#include "id.h"
#include "queue_entry.h"

/*
 * What relay-queue knows of each live message: where its record is, and per
 * recipient its state and where its last outcome is written. Nothing else is
 * kept in memory: 16 bytes a recipient, about 130 a message.
 */
struct index_rcpt {
  uint32_t segment;  /* of the record with the last outcome, 0 for none */
  uint32_t position; /* in it, in units of RECORD_ALIGN */
  uint32_t next;     /* wall clock seconds, rounded up */
  uint16_t attempts; /* stays at 65535 */
  uint8_t state;
  uint8_t delay_told;
};

struct index_message {
  uint64_t serial;
  uint64_t size; /* of its record, for the compaction's sum */
  uint64_t content_len;
  char id[ID_LENGTH]; /* not terminated */
  char *big; /* its file in queue/big/, NULL if the content is in the record; owned */
  struct index_message *next, *previous; /* in its segment */
  uint32_t segment;  /* its home: the record that counts */
  uint32_t position; /* in units of RECORD_ALIGN */
  uint32_t envelope_len, states_len, extra_len;
  uint16_t rcpt_count, live;
  uint16_t unsettled; /* records about it in batches that are not durable yet */
  uint16_t changes;   /* moves with each change, so that a copy knows that it is stale */
  uint16_t pins;      /* jobs of the disk thread that hold a pointer to it */
  bool dsn_open; /* a B of relay-send is not answered yet */
  bool given_up; /* its own record is void: it goes when nothing about it is in a batch */
  struct index_rcpt rcpts[];
};

/* Live messages of one segment, oldest first. */
struct index_segment {
  uint32_t number;
  uint64_t end;  /* bytes used in it */
  uint64_t live; /* bytes of live messages */
  uint32_t notes; /* live notes that are written here */
  struct index_message *first, *last;
};

struct index_note {
  uint32_t segment;
  uint16_t unsettled;
  char *value; /* "" : forgotten, kept until settled */
  char key[];
};

struct index {
  struct hash by_serial, by_id, notes;
  struct index_segment *segments; /* in order of number */
  uint32_t segment_count, segment_cap;
  uint64_t next_serial;
  uint64_t live_bytes, used_bytes;
};

void index_init(struct index *x);
void index_free(struct index *x);

/* NULL: memory. Not in any table or segment yet. All recipients pending. */
struct index_message *index_message_new(uint64_t serial, const char *id, uint32_t rcpts);
/* Into the tables; index_place() puts it into a segment. 0 or -1 (memory). */
int index_add(struct index *x, struct index_message *m);
void index_remove(struct index *x, struct index_message *m); /* and frees it */
struct index_message *index_find(const struct index *x, uint64_t serial);
bool index_has_id(const struct index *x, const char *id);

/* The home of m is now there; the segment is known. */
void index_place(struct index *x, struct index_message *m, uint32_t segment, uint64_t offset,
                 uint64_t size);
struct index_segment *index_segment(struct index *x, uint32_t number);
int index_segment_add(struct index *x, uint32_t number); /* the newest; 0 or -1 */
void index_segment_used(struct index *x, uint32_t number, uint64_t end);
void index_segment_drop_first(struct index *x);

/* What an entry says, with where it is written. False: no such recipient. */
bool index_apply_entry(struct index_message *m, const struct entry *e);
void index_set_location(struct index_message *m, uint32_t rcpt, uint32_t segment, uint64_t offset);
/* Ends the origin's recipients, or notes their delay. */
void index_apply_origin(struct index_message *m, const struct origin *o);

/* A note's value, "" forgets it. NULL: memory. */
struct index_note *index_note_set(struct index *x, const char *key, const char *value);
/* The note is written there now. Frees a forgotten one once it is settled. */
void index_note_place(struct index *x, struct index_note *n, uint32_t segment);

#endif
