#ifndef QUEUE_CORE_H
#define QUEUE_CORE_H

#include "channel.h"
#include "loglines.h"
#include "queue_commit.h"
#include "queue_config.h"
#include "queue_index.h"

#include <stddef.h>

/*
 * What relay-queue is made of. The loop's thread owns all of it but the
 * store, which after replay is the disk thread's.
 */
#define CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct submission;
struct notice;
struct client;

struct floor {
  struct disk_job job;
  struct queue *queue;
  bool busy;
  bool more;    /* of a spare to be filled */
  bool below;   /* intake answers 452 */
  int64_t next; /* monotonic: of the next look */
};

struct compaction {
  struct disk_job job;
  struct queue *queue;
  bool busy;           /* a job of it is with the disk thread or in a batch */
  int result;          /* of the job */
  struct copy *copies; /* of the running step */
  uint32_t waiting;    /* copies in batches */
  int64_t next;        /* monotonic: not before */
};

struct queue {
  struct loop loop;
  struct loglines log;
  struct queue_config config;
  struct store store;
  struct index index;
  struct disk disk;
  struct commit commit;
  struct floor floor;
  struct compaction compaction;

  struct loop_watch intake, inject; /* listeners */
  struct channel send, bounce;
  struct hash holders;  /* tenants and uids with open connections (queue_client.h) */
  uint32_t clients;     /* connections of run/intake */
  int64_t accept_again; /* monotonic: the listeners rest until then; 0: they do not */
  struct hash trials;   /* by serial: what relay-send tries before it is durable */
  uint64_t memory;      /* bytes of control/throughmemory that are promised */
  uint32_t preparing;   /* submissions that the disk thread makes big files of */
  struct submission *waiting_first, *waiting_last; /* for room */
  struct notice *notices_first, *notices_last;     /* DSN jobs; the first is at relay-bounce */
  bool bounce_busy;
  bool ending; /* relay-send or relay-bounce is gone: write what we have, then exit */
  bool told;   /* E has been sent */
};

/* In the end nothing else is left to do: exits 111, nobody answered. */
_Noreturn void queue_die(const char *what);

#endif
