#ifndef QUEUE_DISK_H
#define QUEUE_DISK_H

#include "loop.h"

#include <pthread.h>
#include <stdbool.h>

/*
 * The disk thread: does what may wait for the disk, one job at a time, so
 * that the loop never does. A waiting commit goes before reads, and these
 * before background work, which therefore comes in small jobs.
 */
enum disk_class { DISK_COMMIT, DISK_READ, DISK_BACKGROUND, DISK_CLASSES };

struct disk_job {
  struct disk_job *next;
  void (*run)(struct disk_job *job);  /* in the disk thread */
  void (*done)(struct disk_job *job); /* afterwards, in the loop; may free the job */
};

struct disk_list {
  struct disk_job *head, *tail;
};

struct disk {
  struct loop_watch watch; /* an eventfd: something is done */
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t work;
  struct disk_list todo[DISK_CLASSES], done;
  unsigned pending; /* put and not yet done; the loop's */
};

/* 0, or -1 with errno. */
int disk_start(struct disk *d, struct loop *loop);
void disk_put(struct disk *d, struct disk_job *job, enum disk_class class);

#endif
