#include "queue_disk.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void list_put(struct disk_list *list, struct disk_job *job)
{
  job->next = NULL;
  *(list->tail ? &list->tail->next : &list->head) = job;
  list->tail = job;
}

static struct disk_job *list_take(struct disk_list *list)
{
  struct disk_job *job = list->head;

  if (job) {
    list->head = job->next;
    list->tail = list->head ? list->tail : NULL;
  }
  return job;
}

static struct disk_job *next_job(struct disk *d)
{
  struct disk_job *job = NULL;
  int class;

  for (class = 0; class < DISK_CLASSES && !job; class++) {
    job = list_take(&d->todo[class]);
  }
  return job;
}

static void *disk_main(void *arg)
{
  struct disk *d = arg;
  struct disk_job *job;
  bool wake;

  pthread_mutex_lock(&d->mutex);
  for (;;) {
    while (!(job = next_job(d))) {
      pthread_cond_wait(&d->work, &d->mutex);
    }
    pthread_mutex_unlock(&d->mutex);
    job->run(job);
    pthread_mutex_lock(&d->mutex);
    wake = !d->done.head;
    list_put(&d->done, job);
    if (wake) {
      /* Not under the lock, which is the first thing that the loop takes when it wakes. */
      pthread_mutex_unlock(&d->mutex);
      eventfd_write(d->watch.fd, 1);
      pthread_mutex_lock(&d->mutex);
    }
  }
  return NULL;
}

static void ready(struct loop_watch *watch, uint32_t events)
{
  struct disk *d = (struct disk *)((char *)watch - offsetof(struct disk, watch));
  struct disk_job *job, *next;
  eventfd_t count;

  (void)events;
  pthread_mutex_lock(&d->mutex);
  /* Read before the list is taken: a job that is done later finds it empty and writes again. */
  eventfd_read(watch->fd, &count);
  job = d->done.head;
  d->done = (struct disk_list){0};
  pthread_mutex_unlock(&d->mutex);
  for (; job; job = next) {
    next = job->next;
    d->pending--;
    job->done(job);
  }
}

int disk_start(struct disk *d, struct loop *loop)
{
  sigset_t all, before;
  int error;

  *d = (struct disk){.watch = {.events = EPOLLIN, .ready = ready}};
  pthread_mutex_init(&d->mutex, NULL);
  pthread_cond_init(&d->work, NULL);
  d->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (d->watch.fd == -1 || loop_add(loop, &d->watch) == -1) {
    return -1;
  }
  /* Signals are the loop's. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&d->thread, NULL, disk_main, d);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return error ? -1 : 0;
}

void disk_put(struct disk *d, struct disk_job *job, enum disk_class class)
{
  d->pending++;
  pthread_mutex_lock(&d->mutex);
  list_put(&d->todo[class], job);
  pthread_mutex_unlock(&d->mutex);
  pthread_cond_signal(&d->work); /* behind the lock, which the thread takes when it wakes */
}
