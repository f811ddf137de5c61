#include "worker.h"

#include "hash.h"
#include "lane.h"
#include "master.h"
#include "memory.h"
#include "report.h"
#include "seqpacket.h"
#include "sources.h"
#include "tls_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER_REFUSED_MS 500 /* after the master could not fork */
#define WORKER_ENDING_MAX 16 /* idle ones told to make room at the same time */

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

static void set_ending(struct worker *w)
{
  ending += w->state != WORKER_ENDING;
  w->state = WORKER_ENDING;
  worker_unestablish(w);
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

void worker_unestablish(struct worker *w)
{
  if (w->established) {
    w->established = false;
    w->lane->established--;
  }
}

static void worker_free(struct worker *w)
{
  struct lane *lane = w->lane;

  leave_idle(w);
  set_ending(w);
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

static void retire(struct worker *w)
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
    retire(LIST_ITEM(timer, struct worker, timer));
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

enum worker_room worker_room(struct lane *lane)
{
  if (lane->open >= lane->window.limit) {
    if (lane->idle_count > 0) {
      retire(LIST_ITEM(lane->idle.prev, struct worker, idle));
    }
    lane->full = true;
    return WORKER_LANE_FULL;
  }
  if (sched.now < no_fork_until) {
    return WORKER_NONE_FREE;
  }
  if (count >= sched.settings.workers) {
    if (!list_head_empty(&idle_all) && ending < WORKER_ENDING_MAX) {
      retire(LIST_ITEM(idle_all.next, struct worker, idle_all));
    }
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
  timer_init(&w->timer, TIMER_WORKER);
  list_head_init(&w->idle);
  list_head_init(&w->idle_all);
  list_head_init(&w->dirty);
  list_link(&all, &w->all);
  if (hash_insert(&asked, w) == -1) {
    memory_out();
  }
  count++;
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
      w->served >= sched.settings.connection_messages) {
    retire(w);
    return;
  }
  list_link(lane->idle.next, &w->idle);
  list_link(&idle_all, &w->idle_all);
  lane->idle_count++;
  timer_set(&w->timer, sched.now + (int64_t)sched.settings.timeouts.idle * 1000);
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
    retire(w);
  }
  /* One that is only asked for is let go when it arrives. */
}

static int greeted(struct worker *w, struct netstring_reader *r)
{
  struct work_tls_result tls;
  uint64_t ms = 0, which = 0;
  char extensions[1024];

  netstring_get_str(r, w->host, sizeof w->host);
  netstring_get_u64(r, INT64_MAX, &ms);
  netstring_get_str(r, extensions, sizeof extensions);
  netstring_get_u64(r, WORK_HOSTS_MAX - 1, &which);
  work_get_tls_result(r, &tls);
  if (netstring_end(r) == -1 || !w->hosts || which >= w->hosts->host_count ||
      (w->state != WORKER_CONNECTING && w->state != WORKER_ENDING)) {
    return -1;
  }
  if (w->state == WORKER_ENDING) {
    return 0; /* told to quit before it was connected */
  }
  w->state = WORKER_READY;
  w->established = true;
  w->lane->established++;
  w->at = w->hosts->hosts[which];
  w->rank = w->ranks[which];
  w->tls = w->demands[which];
  tls_memory_learn(w->tls, &w->at, &tls);
  free(w->hosts);
  w->hosts = NULL;
  loglines_printf(&sched.log, '=', "connect site=%s host=%s worker=%lld ms=%llu window=%u open=%u "
                  "tls=%s",
                  w->lane->site->name, w->host, (long long)w->pid, (unsigned long long)ms,
                  w->lane->window.limit, w->lane->open, tls.facts);
  lane_greeted(w->lane);
  return 0;
}

static int no_session(struct worker *w, struct netstring_reader *r)
{
  struct outcome o = {0};

  /* No session is never a bounce: it says nothing about a recipient (relay-remote/judge.c). */
  if (outcome_get(r, &o) == -1 || netstring_end(r) == -1 || o.verdict != VERDICT_DEFERRED ||
      (w->state != WORKER_CONNECTING && w->state != WORKER_ENDING)) {
    return -1;
  }
  set_ending(w);
  if (w->job) {
    struct job *job = w->job;
    w->job = NULL;
    job_no_session(job, &o);
  }
  return 0;
}

static int outcomes(struct worker *w, struct netstring_reader *r)
{
  struct netstring_reader check;
  struct outcome o;
  uint64_t token = 0, n = 0;

  netstring_get_u64(r, UINT64_MAX, &token);
  netstring_get_u64(r, WORK_RCPTS_MAX, &n);
  check = *r;
  for (uint64_t i = 0; i < n && outcome_get(&check, &o) == 0; i++) {
  }
  if (check.bad || netstring_end(&check) == -1 || !w->job || w->job->token != token ||
      !w->job->sent) {
    return -1;
  }
  for (uint64_t i = 0; i < n; i++) {
    if (outcome_get(r, &o) == -1 || job_outcome(w->job, &o) == -1) {
      return -1;
    }
  }
  return 0;
}

static int transaction(struct worker *w, struct netstring_reader *r, char verb)
{
  struct work_end end = {0};
  uint64_t token = 0;

  if (verb == 'D') {
    netstring_get_u64(r, UINT64_MAX, &token);
    if (netstring_end(r) == -1 || !w->job || w->job->token != token || !w->job->sent) {
      return -1;
    }
    w->job->dot = true;
    return 0;
  }
  if (work_get_end(r, &end) == -1 || netstring_end(r) == -1 || !w->job ||
      w->job->token != end.token || !w->job->sent) {
    return -1;
  }
  job_end(w->job, &end);
  return 0;
}

static void lost(struct worker *w)
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

static void datagram(struct channel *c, const char *data, size_t len, int fd)
{
  struct worker *w = LIST_ITEM(c, struct worker, channel);
  struct netstring_reader r;
  char verb = 0;
  int result = -1;

  sched_clock();
  if (fd != -1) {
    close(fd);
  }
  netstring_open(&r, data, len);
  netstring_get_char(&r, &verb);
  if (verb == 'O') {
    result = greeted(w, &r);
  } else if (verb == 'N') {
    result = no_session(w, &r);
  } else if (verb == 'R') {
    result = outcomes(w, &r);
  } else if (verb == 'D' || verb == 'E') {
    result = transaction(w, &r, verb);
  }
  if (result == -1) {
    report_warning("worker %lld sent a garbled answer of kind %c", (long long)w->pid,
                   verb ? verb : '?');
    lost(w);
  }
}

static void closed(struct channel *c)
{
  sched_clock();
  lost(LIST_ITEM(c, struct worker, channel));
}

static void send_open(struct worker *w)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  worker_put_open(w, &b);
  send_to(w, &b, -1);
  buf_free(&b);
}

void worker_arrived(uint64_t token, pid_t pid, int fd)
{
  struct worker *w = hash_remove(&asked, &token, sizeof token);

  if (!w) {
    close(fd);
    return;
  }
  w->pid = pid;
  w->channel.datagram = datagram;
  w->channel.closed = closed;
  if (!w->job || channel_open(&w->channel, &sched.loop, fd) == -1) {
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

static void cancel(struct worker *w)
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
      cancel(w);
    }
    if (w->state == WORKER_ASKED) {
      hash_remove(&asked, &w->token, sizeof w->token);
      worker_free(w);
    } else if (!w->job && w->state != WORKER_ENDING) {
      retire(w);
    }
  }
}
