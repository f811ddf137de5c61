#include "job.h"

#include "dispatch_client.h"
#include "domain.h"
#include "flow.h"
#include "hash.h"
#include "hold.h"
#include "lane.h"
#include "memfd.h"
#include "memory.h"
#include "results.h"
#include "schedule.h"
#include "tenant.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOB_LOOK_AHEAD 16  /* recipients, for one that an idle connection can take */
#define JOB_IDLE_LOOKED 8  /* idle connections looked at for each */
#define JOB_MOVED_MAX 1000 /* recipients that turned out to belong elsewhere, in one start */

static struct hash fetching; /* the first job of each serial */
static uint64_t last_token;
static uint32_t active;

static const void *key(const void *item, size_t *len)
{
  const struct job *job = item;

  *len = sizeof job->serial;
  return &job->serial;
}

void job_start_module(void)
{
  hash_init(&fetching, key);
}

uint32_t jobs_active(void)
{
  return active;
}

static struct worker *idle_for(const struct lane *lane, const struct route *route)
{
  struct list_node *node = lane->idle.next;

  for (int i = 0; i < JOB_IDLE_LOOKED && node != &lane->idle; i++, node = node->next) {
    struct worker *w = LIST_ITEM(node, struct worker, idle);
    if (worker_serves(w, route)) {
      return w;
    }
  }
  return NULL;
}

/*
 * The first recipient in the flow; but if an idle connection fits one that is
 * not far behind it, that one, because at a provider of many hosts each
 * domain has its own, and a warm connection is worth a small change of order.
 */
static struct rcpt *choose(const struct lane *lane, const struct flow *flow, struct worker **w)
{
  struct rcpt *first = flow_first(flow), *r = first;

  *w = NULL;
  for (int i = 0; i < JOB_LOOK_AHEAD && r && lane->idle_count > 0; i++) {
    if (r->domain->state == DOMAIN_OK && r->domain->site == lane->site &&
        (*w = idle_for(lane, r->domain->route)) != NULL) {
      return r;
    }
    r = flow_after(flow, r);
  }
  return first;
}

/* False: it did not belong here (any more), and has gone to where it does. */
static bool belongs(const struct lane *lane, struct rcpt *r)
{
  struct domain *d = r->domain;

  if (hold_covers(r)) {
    rcpt_detach(r);
    rcpt_place(r, RCPT_AT_HELD);
    return false;
  }
  if (d->state == DOMAIN_OK && d->expires <= sched.now && sched.now >= d->retry_at) {
    domain_ask(d, rcpt_message(r)->tenant);
  }
  if (d->state != DOMAIN_OK || d->site != lane->site) {
    rcpt_detach(r);
    schedule_now(r, false);
    return false;
  }
  return true;
}

/* May other go in the same transaction as r? */
static bool joins(const struct rcpt *r, const struct rcpt *other, const struct worker *w)
{
  const struct domain *d = other->domain;

  if (other->where != RCPT_AT_READY || other->flow != r->flow) {
    return false;
  }
  if (d == r->domain) {
    return true;
  }
  if (d->state != DOMAIN_OK || d->site != r->domain->site || hold_covers(other)) {
    return false;
  }
  /* On a new connection: a domain that goes to the same host first. */
  const struct route_host *first = r->domain->route->hosts;
  return w ? worker_serves(w, d->route)
           : route_rank(d->route, &first->ip, first->port, first->tls) == 0 &&
               route_joins(d->route, r->domain->route);
}

static uint32_t collect(struct job *job, struct rcpt *r, const struct worker *w)
{
  struct message *m = rcpt_message(r);
  struct rcpt *chosen[WORK_RCPTS_MAX];
  uint32_t count = 0;

  chosen[count++] = r;
  for (uint16_t i = 0; i < m->rcpt_count && count < WORK_RCPTS_MAX; i++) {
    if (&m->rcpts[i] != r && joins(r, &m->rcpts[i], w)) {
      chosen[count++] = &m->rcpts[i];
    }
  }
  /* Charged first: the flow goes with its last recipient. */
  flow_charge(r->flow, flow_cost(m->content_len, count));
  for (uint32_t i = 0; i < count; i++) {
    rcpt_detach(chosen[i]);
    rcpt_place(chosen[i], RCPT_AT_ACTIVE);
    list_link(&job->rcpts, &chosen[i]->link);
  }
  return count;
}

static void fetch(struct job *job)
{
  job->fd = dispatch_client_fresh(job->serial);
  if (job->fd != -1) {
    return;
  }
  struct job *first = hash_find(&fetching, &job->serial, sizeof job->serial);
  if (first) {
    job->same = first->same;
    first->same = job;
  } else if (hash_insert(&fetching, job) == -1) {
    memory_out();
  }
  job->fetching = true;
  dispatch_client_fetch(job->serial);
}

static void begin(struct lane *lane, struct rcpt *r, struct worker *w)
{
  struct message *m = rcpt_message(r);
  struct job *job = memory_get(sizeof *job);

  job->token = ++last_token;
  job->serial = m->serial;
  job->lane = lane;
  job->tenant = m->tenant;
  job->epoch = lane->window.epoch;
  job->started = sched.now;
  message_id(m, job->id);
  list_head_init(&job->rcpts);
  tenant_use(job->tenant);
  lane_use(lane);
  collect(job, r, w);
  job->tenant->active++;
  lane->active++;
  active++;
  fetch(job);
  if (w) {
    worker_take(w, job);
  } else {
    worker_request(lane, job);
  }
  job_progress(job);
}

bool job_start(struct lane *lane)
{
  uint64_t total = sched.settings.workers;

  for (int n = 0; n < JOB_MOVED_MAX && lane_can_start(lane); n++) {
    struct flow *flow = flow_turn(lane);
    struct worker *w;
    if (!flow) {
      return true;
    }
    if (!tenant_allowed(flow->tenant, active, total)) {
      if (active >= total) {
        return false;
      }
      tenant_block(flow);
      continue;
    }
    struct rcpt *r = choose(lane, flow, &w);
    if (!belongs(lane, r)) {
      continue;
    }
    enum worker_room room = w ? WORKER_ROOM : worker_room(lane);
    if (room != WORKER_ROOM) {
      return room != WORKER_NONE_FREE;
    }
    begin(lane, r, w);
    return true;
  }
  return true;
}

struct domain *job_domain(const struct job *job)
{
  return LIST_ITEM(job->rcpts.next, struct rcpt, link)->domain;
}

void job_progress(struct job *job)
{
  struct work_job j = {.token = job->token};

  if (job->sent || job->fd == -1 || !job->worker || !worker_opened(job->worker)) {
    return;
  }
  struct message *m = rcpt_message(LIST_ITEM(job->rcpts.next, struct rcpt, link));
  memcpy(j.id, job->id, sizeof j.id);
  j.envelope_len = m->envelope_len;
  j.content_len = m->content_len;
  for (struct list_node *node = job->rcpts.next; node != &job->rcpts; node = node->next) {
    j.rcpts[j.rcpt_count++] = LIST_ITEM(node, struct rcpt, link)->index;
  }
  job->sent = true;
  job->given = sched.now;
  job->one_piece = m->content_len <= WORK_PIECE_BYTES;
  worker_give(job->worker, &j, job->fd);
  job->fd = -1;
}

/* Takes the first job that waits for an fd of this message out of the table. */
static struct job *fetch_done(uint64_t serial)
{
  struct job *job = hash_remove(&fetching, &serial, sizeof serial);

  if (job && job->same && hash_insert(&fetching, job->same) == -1) {
    memory_out();
  }
  if (job) {
    job->same = NULL;
    job->fetching = false;
  }
  return job;
}

static void job_free(struct job *job)
{
  struct lane *lane = job->lane;

  if (job->fd != -1) {
    close(job->fd);
    job->fd = -1;
  }
  if (job->lane) {
    job->tenant->active--;
    lane->active--;
    active--;
    job->lane = NULL;
    tenant_release(job->tenant);
    tenant_wake(active, sched.settings.workers);
    lane_wake(lane);
    lane_release(lane);
  }
  free(job->shut);
  job->shut = NULL;
  if (job->fetching) {
    job->gone = true; /* the answer to its G is still to come, and will free it */
  } else {
    free(job);
  }
}

/* Each of the recipients without an outcome gets this one. */
static void decide_rest(struct job *job, const struct outcome *outcome)
{
  while (!list_head_empty(&job->rcpts)) {
    struct rcpt *r = LIST_ITEM(job->rcpts.next, struct rcpt, link);
    list_unlink(&r->link);
    job->deferred++;
    results_take(r, outcome, false);
  }
}

/* Back to the head of their flow, in their order. */
static void put_back(struct job *job)
{
  while (!list_head_empty(&job->rcpts)) {
    struct rcpt *r = LIST_ITEM(job->rcpts.prev, struct rcpt, link);
    list_unlink(&r->link);
    schedule_now(r, true);
  }
}

void job_fetched(uint64_t serial, int fd, const char *text)
{
  struct job *job = fetch_done(serial);

  if (!job || job->gone) {
    free(job);
    if (fd != -1) {
      close(fd);
    }
    return;
  }
  job->fd = fd;
  if (fd != -1) {
    job_progress(job);
    return;
  }
  struct outcome o = {.verdict = VERDICT_DEFERRED, .stage = STAGE_NONE, .status = "4.3.0"};
  snprintf(o.reply, sizeof o.reply, "the queue could not hand the message out: %s", text);
  decide_rest(job, &o);
  worker_drop(job->worker);
  job_free(job);
}

int job_outcome(struct job *job, const struct outcome *o)
{
  struct list_node *node = job->rcpts.next;
  struct rcpt *r = NULL;

  for (; node != &job->rcpts; node = node->next) {
    r = LIST_ITEM(node, struct rcpt, link);
    if (r->index == o->rcpt) {
      break;
    }
  }
  if (node == &job->rcpts || o->verdict == VERDICT_DROPPED) {
    return -1;
  }
  if (o->verdict == VERDICT_DEFERRED && o->code == 421 && o->stage != STAGE_DOT) {
    /* RFC 5321 3.8: the server is closing; says nothing about this message. */
    if (!job->shut) {
      job->shut = memory_get(sizeof *job->shut);
    }
    *job->shut = *o;
    return 0;
  }
  list_unlink(&r->link);
  if (o->verdict == VERDICT_DELIVERED && (r->notify & ENVELOPE_NOTIFY_SUCCESS)) {
    struct held_outcome *held = memory_get(sizeof *held);
    *held = (struct held_outcome){.next = job->held, .rcpt = r, .outcome = *o};
    job->held = held;
    job->delivered++;
    return 0;
  }
  job->delivered += o->verdict == VERDICT_DELIVERED;
  job->deferred += o->verdict == VERDICT_DEFERRED;
  job->failed += o->verdict == VERDICT_FAILED;
  results_take(r, o, false);
  return 0;
}

static void decide_held(struct job *job, bool relayed)
{
  while (job->held) {
    struct held_outcome *held = job->held;
    job->held = held->next;
    results_take(held->rcpt, &held->outcome, relayed);
    free(held);
  }
}

static void log_attempt(const struct job *job, const struct work_end *end)
{
  const struct worker *w = job->worker;

  if (job->delivered > 0 && job->deferred + job->failed == 0) {
    return; /* relay-remote's "deliver" and relay-queue's "result" have said it */
  }
  loglines_printf(&sched.log, '=',
                  "attempt id=%s site=%s host=%s worker=%lld ms=%lld mail=%lld rcpt=%lld dot=%lld "
                  "delivered=%u deferred=%u failed=%u tenant=%s%s",
                  job->id, job->lane->site->name, w->host, (long long)w->pid,
                  (long long)(sched.now - job->given), (long long)end->ms_mail,
                  (long long)end->ms_rcpt, (long long)end->ms_dot, job->delivered, job->deferred,
                  job->failed, job->tenant->name, end->stale ? " stale=1" : "");
}

/* The connection had no answer for them: was it an old one, or is it the site? */
static void shut(struct job *job)
{
  struct outcome o = *job->shut;
  struct lane *lane = job->lane;

  if (job->worker->served > 0) {
    put_back(job);
    return;
  }
  worker_unestablish(job->worker);
  lane_failed(lane, &o);
  if (lane->site->shared) {
    decide_rest(job, &o);
  } else {
    put_back(job);
  }
}

void job_end(struct job *job, const struct work_end *end)
{
  struct lane *lane = job->lane;
  struct worker *w = job->worker;
  /* 421 on a connection that has served before is the end of its turn, not trouble. */
  bool over = job->shut && w->served > 0;
  bool broken = !end->keep && !end->stale && !over && job->delivered == 0;

  decide_held(job, !end->dsn);
  if (end->stale && w->served > 0) {
    put_back(job);
  } else if (job->shut) {
    shut(job);
  } else if (!list_head_empty(&job->rcpts)) {
    struct outcome o = {.verdict = VERDICT_DEFERRED, .stage = STAGE_NONE, .status = "4.3.0",
                        .reply = "the delivery process gave no verdict"};
    if (sched.stopping) {
      put_back(job); /* cancelled */
    } else {
      decide_rest(job, &o);
    }
  }
  if (broken) {
    window_trouble(&lane->window, job->epoch);
  } else if (job->delivered > 0) {
    window_success(&lane->window, lane->active);
  }
  log_attempt(job, end);
  w->served++;
  w->job = NULL;
  lane_use(lane);
  job_free(job);
  if (end->keep) {
    worker_rest(w);
  } else {
    worker_ending(w);
  }
  lane_wake(lane);
  lane_release(lane);
}

void job_no_session(struct job *job, const struct outcome *outcome)
{
  if (outcome->stage == STAGE_TLS) {
    /* Somebody answers; it is these domains that ask more. */
    for (struct list_node *node = job->rcpts.next; node != &job->rcpts; node = node->next) {
      domain_tls_failed(LIST_ITEM(node, struct rcpt, link)->domain, outcome);
    }
    put_back(job);
    job_free(job);
    return;
  }
  lane_failed(job->lane, outcome);
  if (job->lane->site->shared) {
    decide_rest(job, outcome);
  } else {
    put_back(job);
  }
  job_free(job);
}

void job_lost(struct job *job)
{
  bool perhaps = job->dot || (job->sent && job->one_piece); /* work.h, D */
  struct outcome o = {.verdict = VERDICT_DEFERRED, .stage = perhaps ? STAGE_DOT : STAGE_NONE,
                      .status = "4.3.0"};

  snprintf(o.reply, sizeof o.reply, "the delivery process ended %s",
           job->dot  ? "after the final dot: it may have been delivered"
           : perhaps ? "unexpectedly: it may have been delivered"
                     : "unexpectedly");
  /* Whether the MX would have told the sender is not known: then we do (RFC 3461 5.2.2). */
  decide_held(job, true);
  if (!job->sent || (sched.stopping && !perhaps)) {
    put_back(job);
  } else {
    decide_rest(job, &o);
  }
  job_free(job);
}

void job_withdraw(struct job *job)
{
  put_back(job);
  job_free(job);
}
