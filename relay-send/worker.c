#include "worker.h"

#include "departure.h"
#include "hash.h"
#include "lane.h"
#include "master.h"
#include "memory.h"
#include "report.h"
#include "seqpacket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER_REFUSED_MS 500 /* after the master could not fork */
#define WORKER_ENDING_MAX 16  /* idle ones told to make room at the same time */
#define WORKER_SPARE_PART 8   /* of all, one part is not for idle connections */

static struct list_node all, idle_all, dirty;
static struct hash asked; /* by token */
static uint64_t last_token;
static uint32_t count, ending;
static bool paused;
static int64_t no_fork_until;
static struct timer refused; /* wakes the loop, which then starts what is in line */

static const void *key(const void *item, size_t *len)
{
  const struct worker *w = item;

  *len = sizeof w->token;
  return &w->token;
}

uint32_t workers_count(void)
{
  return count;
}

static void leave_idle(struct worker *w)
{
  if (!list_head_empty(&w->idle)) {
    w->lane->idle_count--;
  }
  list_unlink(&w->idle);
  list_unlink(&w->idle_all);
  timer_clear(&w->timer);
}

static void worker_unestablish(struct worker *w)
{
  if (w->established) {
    w->established = false;
    w->lane->established--;
  }
}

void worker_forget(struct worker *w)
{
  worker_unestablish(w);
  if (w->given) {
    w->given = false;
    w->lane->given--;
  }
}

static void set_ending(struct worker *w)
{
  ending += w->state != WORKER_ENDING;
  w->state = WORKER_ENDING;
  worker_unestablish(w);
}

static void worker_free(struct worker *w)
{
  struct lane *lane = w->lane;

  leave_idle(w);
  set_ending(w);
  worker_forget(w);
  ending--;
  list_unlink(&w->all);
  list_unlink(&w->dirty);
  free(w->hosts);
  free(w);
  count--;
  lane->open--;
  lane_room(lane);
  lane_release(lane);
}

static void send_to(struct worker *w, const struct buf *b, int fd)
{
  if (channel_send(&w->channel, b->data, b->len, fd) == -1) {
    memory_out();
  }
  if (list_head_empty(&w->dirty)) {
    list_link(&dirty, &w->dirty);
  }
}

void worker_retire(struct worker *w)
{
  struct buf b = BUF_INIT(16);

  leave_idle(w);
  set_ending(w);
  if (netstring_put_str(&b, "Q") == -1) {
    memory_out();
  }
  send_to(w, &b, -1);
  buf_free(&b);
}

static void expired(struct timer *timer)
{
  if (timer != &refused) {
    worker_retire(LIST_ITEM(timer, struct worker, timer));
  }
}

void worker_start(void)
{
  list_head_init(&all);
  list_head_init(&idle_all);
  list_head_init(&dirty);
  hash_init(&asked, key);
  timer_init(&refused, TIMER_WORKER);
  timer_handler(TIMER_WORKER, expired);
}

/* The one that has been idle longest makes room; its QUIT may take seconds. */
static void make_room(void)
{
  if (!list_head_empty(&idle_all) && ending < WORKER_ENDING_MAX) {
    worker_retire(LIST_ITEM(idle_all.next, struct worker, idle_all));
  }
}

/* So that nobody whose turn it is waits for another's slow QUIT. */
static void keep_spare(void)
{
  if (count - ending > sched.settings.workers - sched.settings.workers / WORKER_SPARE_PART) {
    make_room();
  }
}

enum worker_room worker_room(struct lane *lane)
{
  if (lane->open >= lane->window.limit || sched.now < lane->window.open_at) {
    if (lane->open >= lane->window.limit && lane->idle_count > 0) {
      worker_retire(LIST_ITEM(lane->idle.prev, struct worker, idle));
    }
    lane->full = true;
    return WORKER_LANE_FULL;
  }
  if (sched.now < no_fork_until) {
    return WORKER_NONE_FREE;
  }
  if (count >= sched.settings.workers) {
    make_room();
    return WORKER_NONE_FREE;
  }
  return WORKER_ROOM;
}

void worker_request(struct lane *lane, struct job *job)
{
  struct worker *w = memory_get(sizeof *w);

  w->token = ++last_token;
  w->lane = lane;
  w->job = job;
  w->state = WORKER_ASKED;
  /* Up to a quarter fewer: connections that began together shall not end together. */
  w->serves = sched.settings.connection_messages;
  w->serves -= sched_random() % (w->serves / 4 + 1);
  timer_init(&w->timer, TIMER_WORKER);
  list_head_init(&w->idle);
  list_head_init(&w->idle_all);
  list_head_init(&w->dirty);
  list_link(&all, &w->all);
  if (hash_insert(&asked, w) == -1) {
    memory_out();
  }
  count++;
  keep_spare();
  lane->open++;
  lane_use(lane);
  job->worker = w;
  master_ask(w->token);
}

void worker_take(struct worker *w, struct job *job)
{
  leave_idle(w);
  w->job = job;
  job->worker = w;
}

bool worker_opened(const struct worker *w)
{
  return w->state == WORKER_CONNECTING || w->state == WORKER_READY;
}

bool worker_serves(const struct worker *w, const struct route *route)
{
  int rank = route_rank(route, &w->at.ip, w->at.port, w->tls);

  return rank >= 0 && rank <= w->rank;
}

void worker_give(struct worker *w, const struct work_job *j, int fd)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  if (work_put_job(&b, j) == -1) {
    memory_out();
  }
  send_to(w, &b, fd);
  buf_free(&b);
}

void worker_rest(struct worker *w)
{
  struct lane *lane = w->lane;

  if (w->state != WORKER_READY || sched.stopping || lane->open > lane->window.limit ||
      w->served >= w->serves || w->generation != lane->generation) {
    worker_retire(w);
    return;
  }
  list_link(lane->idle.next, &w->idle);
  list_link(&idle_all, &w->idle_all);
  lane->idle_count++;
  timer_set(&w->timer, sched.now + (int64_t)sched.settings.timeouts.idle * 1000);
  keep_spare();
  lane_room(lane);
}

void worker_ending(struct worker *w)
{
  set_ending(w);
}

void worker_drop(struct worker *w)
{
  w->job = NULL;
  if (w->state == WORKER_READY) {
    worker_rest(w);
  } else if (w->state == WORKER_CONNECTING) {
    worker_retire(w);
  }
  /* One that is only asked for is let go when it arrives. */
}

void worker_lost(struct worker *w)
{
  struct job *job = w->job;

  channel_close(&w->channel);
  w->job = NULL;
  worker_unestablish(w);
  if (job) {
    job_lost(job);
  }
  worker_free(w);
}

static void closed(struct channel *c)
{
  sched_clock();
  worker_lost(LIST_ITEM(c, struct worker, channel));
}

static void send_open(struct worker *w)
{
  static struct buf b = {.max = SEQPACKET_MAX}; /* never grown: that would leave copies behind */

  if (buf_reserve(&b, SEQPACKET_MAX) == -1) {
    memory_out();
  }
  worker_put_open(w, &b);
  send_to(w, &b, -1);
  explicit_bzero(b.data, b.len); /* TLS sessions */
  buf_reset(&b);
}

void worker_arrived(uint64_t token, pid_t pid, int fd)
{
  struct worker *w = hash_remove(&asked, &token, sizeof token);

  if (!w) {
    close(fd);
    return;
  }
  w->pid = pid;
  w->channel.datagram = worker_datagram;
  w->channel.closed = closed;
  if (!w->job || !departure_known(w->lane) || channel_open(&w->channel, &sched.loop, fd) == -1) {
    close(fd); /* nobody needs it any more: it sees the end of file */
    if (w->job) {
      job_withdraw(w->job);
    }
    worker_free(w);
    return;
  }
  channel_pause(&w->channel, paused);
  w->state = WORKER_CONNECTING;
  send_open(w);
  job_progress(w->job);
}

void worker_refused(uint64_t token, const char *text)
{
  struct worker *w = hash_remove(&asked, &token, sizeof token);

  if (!w) {
    return;
  }
  /* A failure of our own: no recipient and no site is to blame, only some patience is needed. */
  report_warning("unable to start a delivery process: %s", text);
  no_fork_until = sched.now + WORKER_REFUSED_MS;
  timer_set(&refused, no_fork_until);
  if (w->job) {
    job_withdraw(w->job);
  }
  worker_free(w);
}

bool workers_flush(void)
{
  struct list_node stuck;
  bool stalled;

  list_head_init(&stuck);
  while (!list_head_empty(&dirty)) {
    struct worker *w = LIST_ITEM(dirty.next, struct worker, dirty);
    list_unlink(&w->dirty);
    channel_flush(&w->channel);
    if (channel_stalled(&w->channel)) {
      list_link(&stuck, &w->dirty);
    }
  }
  stalled = !list_head_empty(&stuck);
  while (!list_head_empty(&stuck)) {
    struct list_node *node = stuck.next;
    list_unlink(node);
    list_link(&dirty, node);
  }
  return stalled;
}

void workers_pause(bool pause)
{
  if (paused == pause) {
    return;
  }
  paused = pause;
  for (struct list_node *node = all.next; node != &all; node = node->next) {
    struct worker *w = LIST_ITEM(node, struct worker, all);
    if (w->state != WORKER_ASKED) {
      channel_pause(&w->channel, pause);
    }
  }
}

void worker_cancel(struct worker *w)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "X") == -1 || netstring_put_u64(&b, w->job->token) == -1) {
    memory_out();
  }
  send_to(w, &b, -1);
  buf_free(&b);
}

void workers_stop(void)
{
  struct list_node *node = all.next;

  while (node != &all) {
    struct worker *w = LIST_ITEM(node, struct worker, all);
    node = node->next;
    if (w->job && !w->job->sent) {
      struct job *job = w->job;
      w->job = NULL;
      job_withdraw(job);
    } else if (w->job && !w->job->dot) {
      worker_cancel(w);
    }
    if (w->state == WORKER_ASKED) {
      hash_remove(&asked, &w->token, sizeof w->token);
      worker_free(w);
    } else if (!w->job && w->state != WORKER_ENDING) {
      worker_retire(w);
    }
  }
}
