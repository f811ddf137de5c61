#include "job.h"

#include "departure.h"
#include "dispatch_client.h"
#include "domain.h"
#include "flow.h"
#include "hash.h"
#include "job_choice.h"
#include "learn.h"
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
  job_collect(job, r, w);
  job->tenant->active++;
  lane->active++;
  lane_started(lane);
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
    struct rcpt *r = job_choose(lane, flow, &w);
    if (!job_belongs(lane, r) || (!w && !departure_possible(lane, r))) {
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
  free(job->said);
  job->shut = job->said = NULL;
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

/* The worst that the replies say of us: they are about all of the lane, not this recipient. */
static enum trouble speaks_of_us(struct job *job, const struct outcome *o)
{
  enum trouble kind = learn_kind(job->lane, o);

  if (kind != TROUBLE_NONE && !job->said) {
    job->said = memory_get(sizeof *job->said);
    *job->said = *o;
    job->trouble = kind;
  }
  return kind;
}

/* judge.c's words for a transaction that X has ended */
static bool is_cancelled(const struct outcome *o)
{
  return o->verdict == VERDICT_DEFERRED && o->code == 0 && strcmp(o->status, "4.3.2") == 0 &&
         strncmp(o->reply, "cancelled", strlen("cancelled")) == 0;
}

int job_outcome(struct job *job, const struct outcome *told)
{
  struct outcome copy = *told, *o = &copy;
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
  job->cancelled |= is_cancelled(o);
  enum trouble kind = speaks_of_us(job, o);
  if (o->verdict == VERDICT_FAILED && kind != TROUBLE_NONE && kind != TROUBLE_REPUTATION) {
    o->verdict = VERDICT_DEFERRED;
    o->status[0] = '4';
  }
  if (kind != TROUBLE_NONE && !learn_counts(job->lane, kind)) {
    job->back = true;
    return 0;
  }
  if (kind == TROUBLE_NONE && o->verdict == VERDICT_DEFERRED && o->code == 421 &&
      o->stage != STAGE_DOT) {
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
                  job->failed, job->tenant->name, end->stale ? " stale=1" : job->back ? " back=1" : "");
}

/* The connection had no answer for them: was it an old one, or is it the site? */
static void shut(struct job *job)
{
  struct worker *w = job->worker;

  if (w->served == 0) {
    worker_forget(w);
    if (!lane_refused(job->lane, job->epoch, job->shut)) {
      decide_rest(job, job->shut);
      return;
    }
  }
  put_back(job);
}

/* What E leaves to be decided. */
static void settle(struct job *job, const struct work_end *end)
{
  struct outcome o = {.verdict = VERDICT_DEFERRED, .stage = STAGE_NONE, .status = "4.3.0",
                      .reply = "the delivery process gave no verdict"};

  decide_held(job, !end->dsn);
  if ((end->stale && job->worker->served > 0) || job->back) {
    put_back(job);
  } else if (job->shut) {
    shut(job);
  } else if (!list_head_empty(&job->rcpts) && sched.stopping) {
    put_back(job); /* cancelled */
  } else {
    decide_rest(job, &o);
  }
}

static void learn(const struct job *job, const struct work_end *end)
{
  struct lesson l = {.epoch = job->epoch, .in_use = job->lane->active, .kind = job->trouble,
                     .said = job->said, .delivered = job->delivered, .deferred = job->deferred,
                     .failed = job->failed, .given = job->worker->given,
                     .ms = sched.now - job->given, .ms_mail = end->ms_mail,
                     .ms_rcpt = end->ms_rcpt, .ms_dot = end->ms_dot, .bytes = end->bytes};

  /* A 421 that says no more is a refusal on a new connection, and the end of its turn on another. */
  l.broken = !end->keep && !end->stale && !job->shut && job->delivered == 0;
  lane_learn(job->lane, &l);
}

void job_end(struct job *job, const struct work_end *end)
{
  struct lane *lane = job->lane;
  struct worker *w = job->worker;

  if (!job->cancelled) {
    learn(job, end);
  }
  settle(job, end);
  log_attempt(job, end);
  if (job->trouble == TROUBLE_CEILING) {
    w->serves = 0; /* it is the one too many */
  }
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

/*
 * One that is always its lane's probe when somebody looks would never end
 * otherwise. Not at the first failure: after six days of our own downtime an MX
 * may have a bad moment.
 */
static bool overdue(const struct job *job)
{
  return job->lane->failures > 1 && !list_head_empty(&job->rcpts) &&
         sched.wall >= schedule_expires(rcpt_message(LIST_ITEM(job->rcpts.next, struct rcpt, link)));
}

void job_no_session(struct job *job, const struct outcome *outcome)
{
  if (outcome->stage == STAGE_TLS) {
    /* Somebody answers; it is these domains that ask more. */
    for (struct list_node *node = job->rcpts.next; node != &job->rcpts; node = node->next) {
      domain_tls_failed(LIST_ITEM(node, struct rcpt, link)->domain, outcome);
    }
    put_back(job);
  } else if (lane_refused(job->lane, job->epoch, outcome) && !overdue(job)) {
    put_back(job);
  } else {
    decide_rest(job, outcome);
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
  if (!job->sent || job->back || (sched.stopping && !perhaps)) {
    put_back(job);
  } else {
    decide_rest(job, &o);
  }
  job_free(job);
}

void job_cancel(struct job *job)
{
  if (job->cancelled) {
    return;
  }
  job->cancelled = true;
  if (job->sent) {
    worker_cancel(job->worker);
    return;
  }
  worker_drop(job->worker);
  job_withdraw(job);
}

void job_withdraw(struct job *job)
{
  put_back(job);
  job_free(job);
}
