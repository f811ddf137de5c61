#ifndef QUEUE_CONFIG_H
#define QUEUE_CONFIG_H

#include <stdint.h>

/* relay-queue's control files; relay-queue(8) describes them. */
struct queue_config {
  char me[256];
  uint64_t segment_bytes;       /* queuesegmentbytes */
  uint64_t free_bytes;          /* queuefree, 0: four segments and 5% of the filesystem */
  uint64_t free_inodes;         /* queuefreeinodes, 0: 1000 or 5% */
  uint64_t connections;         /* concurrencyincoming, over all tenants */
  uint64_t inject_connections;  /* injectconcurrency, of a uid */
  uint64_t inject_bytes;        /* injectbytes, of a uid, in flight */
  uint64_t through_bytes;       /* throughbytes, of one message */
  uint64_t through_memory;      /* throughmemory, of all past INTAKE_BIG_BYTES together */
  uint64_t databytes;           /* of run/inject, 0: no limit but INTAKE_CONTENT_MAX */
};

/* Reads them, or says what is wrong and returns the status to exit with. */
int queue_config_read(struct queue_config *c);

#endif
