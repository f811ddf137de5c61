#ifndef QUEUE_COMMIT_H
#define QUEUE_COMMIT_H

#include "queue_disk.h"
#include "queue_store.h"

/*
 * Group commit. Records collect in a batch; while one batch is being written
 * and synced by the disk thread, the next collects. Each record has an item,
 * whose settled() is called in the loop, in order, when its fate is known.
 */
#define COMMIT_BATCH_BYTES (8 << 20) /* a fuller batch takes no more messages */
#define COMMIT_RESULT_MS 200         /* records that nobody waits for are synced within this */
#define COMMIT_RETRY_MS 1000
/*
 * A sync costs a quarter of a millisecond, and each batch rounds up to a page: one that is
 * likely to get company waits for it, unless it has this many bytes. So does one behind a
 * batch of two or three; where more wait batches are good by themselves, and the pause cost a
 * fifth of the rate. And so does one while somebody who greeted a moment ago, and is likely to
 * submit, has not done so: with one message a connection that is the rule.
 */
#define COMMIT_GATHER_MS 1
#define COMMIT_GATHER_FEW 4
#define COMMIT_COMING_MS 20       /* how long ago "a moment ago" may be */
#define COMMIT_COMING_GATHER_MS 2
#define COMMIT_GATHER_BYTES (32 << 10)

struct queue;

struct settlement {
  bool durable;  /* else void; error says why */
  int error;     /* errno: ENOSPC, EDQUOT (452) or another (451) */
  uint32_t segment;
  uint64_t offset, size;
};

struct commit_item {
  void (*settled)(struct queue *q, void *owner, uint32_t argument, const struct settlement *s);
  void *owner;
  uint32_t argument;
  bool kept; /* RESULT, STATE, NOTE: never void, written again until it is durable */
};

struct batch {
  struct disk_job job;
  struct queue *queue;
  struct buf records;
  struct commit_item *items;
  uint64_t *positions;
  uint32_t count, cap;
  struct append append;
  enum append_result result;
  int error;
};

struct commit {
  struct batch batches[2];
  struct batch *collecting, *flying; /* flying: NULL if none is */
  bool urgent;                       /* somebody waits for what is collected */
  uint32_t waiting;                  /* how many do */
  uint32_t company;                  /* how many did in the batch before */
  int64_t gather;                    /* monotonic; until when more may join them */
  const void *coming;                /* who greeted last and has not submitted, NULL: nobody */
  int64_t coming_at;                 /* monotonic; when */
  int64_t deadline;                  /* monotonic; when the collected must go, INT64_MAX: empty */
  bool stuck;                        /* results cannot be written: retried at deadline */
};

void commit_init(struct queue *q);

/* May a message of so many bytes join the batch now? */
bool commit_has_room(const struct queue *q, size_t len);

/*
 * To add a record: append its bytes (unpadded, unsealed) to the buffer, then
 * commit_add(). Should something fail in between, cut the buffer back. 0 or
 * -1 (memory; the buffer is cut back to start).
 */
struct buf *commit_buffer(struct queue *q);
int commit_add(struct queue *q, size_t start, const struct commit_item *item, bool urgent);
/* A record that has a head only, in one go. */
int commit_put(struct queue *q, const struct record *r, const struct buf *head,
               const struct commit_item *item, bool urgent);

/*
 * Somebody has greeted, and is likely to submit in a moment; it has submitted,
 * or is gone. Only the latest is remembered: a client that comes alone finds
 * nobody else, and its messages do not wait for company.
 */
void commit_expect(struct queue *q, const void *who);
void commit_expect_no_more(struct queue *q, const void *who);

/* Starts the next batch if it is time. Returns ms until it will be, -1 for never. */
int commit_run(struct queue *q, int64_t now);
/* Nothing collected, nothing in flight. */
bool commit_idle(const struct queue *q);

#endif
