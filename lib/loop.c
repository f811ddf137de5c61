#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOP_EVENTS 64 /* taken from the kernel in one turn */

int loop_init(struct loop *loop)
{
  *loop = (struct loop){.epoll_fd = -1};
  loop->turn = calloc(LOOP_EVENTS, sizeof(*loop->turn));
  if (!loop->turn) {
    return -1;
  }
  loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd == -1) {
    free(loop->turn);
    loop->turn = NULL;
    return -1;
  }
  return 0;
}

void loop_free(struct loop *loop)
{
  if (loop->epoll_fd != -1) {
    close(loop->epoll_fd);
  }
  free(loop->turn);
  *loop = (struct loop){.epoll_fd = -1};
}

int loop_add(struct loop *loop, struct loop_watch *watch)
{
  struct epoll_event event = {.events = watch->events, .data.ptr = watch};

  return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event);
}

int loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
  struct epoll_event event = {.events = events, .data.ptr = watch};

  if (watch->events == events) {
    return 0;
  }
  if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == -1) {
    return -1;
  }
  watch->events = events;
  return 0;
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
  int i;

  epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  /* What this turn still has for it must not reach memory that may be freed now. */
  for (i = 0; i < loop->turn_count; i++) {
    if (loop->turn[i].data.ptr == watch) {
      loop->turn[i].data.ptr = NULL;
    }
  }
}

static void run_turn(struct loop *loop)
{
  struct loop_watch *watch;
  uint32_t events;
  int i;

  for (i = 0; i < loop->turn_count; i++) {
    watch = loop->turn[i].data.ptr;
    if (!watch) {
      continue;
    }
    /* An earlier callback of this turn may have stopped watching for these. */
    events = loop->turn[i].events & (watch->events | EPOLLERR | EPOLLHUP);
    if (events) {
      watch->ready(watch, events);
    }
  }
  loop->turn_count = 0;
}

int loop_run(struct loop *loop)
{
  int timeout, n;

  for (;;) {
    timeout = loop->before_wait ? loop->before_wait(loop->arg) : -1;
    if (loop->stop) {
      return 0;
    }
    n = epoll_wait(loop->epoll_fd, loop->turn, LOOP_EVENTS, timeout);
    if (n == -1 && errno != EINTR) {
      return -1;
    }
    loop->turn_count = n > 0 ? n : 0;
    run_turn(loop);
  }
}
