#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/*
 * The event loop of the daemons: epoll, level-triggered, one thread. A watch
 * is embedded in its owner's struct; the loop holds only the pointer. A
 * callback may remove any watch, its own too, and free its owner: events of
 * the same turn for a removed watch are dropped.
 */
struct loop_watch {
  int fd;
  uint32_t events; /* EPOLLIN | EPOLLOUT */
  void (*ready)(struct loop_watch *watch, uint32_t events);
};

struct loop {
  int epoll_fd;
  bool stop;
  /* Called before every wait: flush what the turn collected; returns how many
   * milliseconds the wait may take at the most, -1 for no limit. */
  int (*before_wait)(void *arg);
  void *arg;
  struct epoll_event *turn; /* loop.c's own */
  int turn_count;
};

int loop_init(struct loop *loop);
void loop_free(struct loop *loop);

int loop_add(struct loop *loop, struct loop_watch *watch);
int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* Runs until loop->stop; 0, or -1 with errno if epoll fails. */
int loop_run(struct loop *loop);

#endif
