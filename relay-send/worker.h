#ifndef WORKER_H
#define WORKER_H

#include "channel.h"
#include "job.h"
#include "route.h"

#include <sys/types.h>

/*
 * relay-send's side of a worker: one MX connection. Asked of the master, told
 * where to connect, given one job after the other, kept while idle for whoever
 * has mail for the same hosts, then told to quit. It parses what an MX says, so
 * what it sends is checked like any peer's: garbage ends that worker only.
 */
enum worker_state {
  WORKER_ASKED,      /* of the master; no channel yet */
  WORKER_CONNECTING, /* O is sent */
  WORKER_READY,      /* greeted */
  WORKER_ENDING      /* told to quit, or its connection is over: end of file is to come */
};

struct worker {
  struct channel channel;
  struct timer timer;        /* idle too long */
  struct list_node all;
  struct list_node idle;     /* in its lane's list */
  struct list_node idle_all; /* in the list of all idle ones, longest idle first */
  struct list_node dirty;    /* its channel is to be flushed */
  struct lane *lane;
  struct job *job;
  struct work_host at;       /* what it is connected to */
  uint8_t ranks[WORK_HOSTS_MAX]; /* of the hosts it was told, in the route it was opened for */
  uint8_t rank;              /* of at */
  char host[OUTCOME_HOST_SIZE];
  struct work_open *hosts;   /* what it was told, until it is connected */
  uint64_t token;
  pid_t pid;
  uint32_t served;
  uint64_t serves; /* transactions at the most */
  uint32_t generation;       /* its lane's when it was told where from */
  enum worker_state state;
  bool established;
  bool given; /* counted in lane.given */
};

enum worker_room {
  WORKER_ROOM,
  WORKER_LANE_FULL, /* the lane hears of it when one of its own ends */
  WORKER_NONE_FREE  /* over all; an idle one may have been told to make room */
};

void worker_start(void);

/* May mail with this route use its connection (route_rank())? */
bool worker_serves(const struct worker *w, const struct route *route);

enum worker_room worker_room(struct lane *lane);
void worker_request(struct lane *lane, struct job *job); /* a new connection for this job */
void worker_take(struct worker *w, struct job *job);     /* an idle one */
bool worker_opened(const struct worker *w);
void worker_give(struct worker *w, const struct work_job *j, int fd); /* the fd is worker.c's */

/* After a job: back to the idle ones, or to its end. */
void worker_rest(struct worker *w);
void worker_ending(struct worker *w);
void worker_retire(struct worker *w); /* an idle one, or one that is not needed: tells it to quit */
/* Its job is gone before J: idle again, or not needed any more. */
void worker_drop(struct worker *w);
/* The site has refused it: it is none of those that it gives. */
void worker_forget(struct worker *w);

/* worker_input.c: one datagram of it. Garbage: it is lost, its job too. */
void worker_datagram(struct channel *c, const char *data, size_t len, int fd);
/* It is gone, or must go. Frees it. */
void worker_lost(struct worker *w);

/* X to its job. */
void worker_cancel(struct worker *w);

/* From the master. */
void worker_arrived(uint64_t token, pid_t pid, int fd);
void worker_refused(uint64_t token, const char *text);

bool workers_flush(void);       /* true: a channel is stuck, and no event will say when not */
void workers_pause(bool pause); /* stop reading what causes results */
void workers_stop(void);        /* cancel what can be cancelled, end what is idle */
uint32_t workers_count(void);

#endif
