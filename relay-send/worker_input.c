/* What a worker says (work.h): checked like any peer's words, then passed on to its job. */
#include "worker.h"

#include "learn.h"
#include "report.h"
#include "tls_memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int connected(struct worker *w, struct netstring_reader *r, struct work_tls_result *tls)
{
  uint64_t ms = 0, which = 0;
  char extensions[1024];

  netstring_get_str(r, w->host, sizeof w->host);
  netstring_get_u64(r, INT64_MAX, &ms);
  netstring_get_str(r, extensions, sizeof extensions);
  netstring_get_u64(r, WORK_HOSTS_MAX - 1, &which);
  work_get_tls_result(r, tls);
  if (netstring_end(r) == -1 || !w->hosts || which >= w->hosts->host_count ||
      (w->state != WORKER_CONNECTING && w->state != WORKER_ENDING)) {
    return -1;
  }
  if (w->state == WORKER_ENDING) {
    return 0; /* told to quit before it was connected */
  }
  w->state = WORKER_READY;
  w->established = w->given = true;
  w->lane->established++;
  w->lane->given++;
  w->at = w->hosts->hosts[which];
  w->rank = w->ranks[which];
  w->tls = w->demands[which];
  tls_memory_learn(w->tls, &w->at, tls);
  free(w->hosts);
  w->hosts = NULL;
  loglines_printf(&sched.log, '=',
                  "connect site=%s host=%s worker=%lld ms=%llu window=%u open=%u "
                  "tls=%s",
                  w->lane->site->name, w->host, (long long)w->pid, (unsigned long long)ms,
                  w->lane->window.limit, w->lane->open, tls->facts);
  lane_greeted(w->lane);
  return 0;
}

static int greeted(struct worker *w, struct netstring_reader *r)
{
  struct work_tls_result tls;
  int result = connected(w, r, &tls);

  explicit_bzero(&tls, sizeof tls); /* its session */
  return result;
}

static int no_session(struct worker *w, struct netstring_reader *r)
{
  struct outcome o = {0};

  /* No session is never a bounce: it says nothing about a recipient (relay-remote/judge.c). */
  if (outcome_get(r, &o) == -1 || netstring_end(r) == -1 || o.verdict != VERDICT_DEFERRED ||
      (w->state != WORKER_CONNECTING && w->state != WORKER_ENDING)) {
    return -1;
  }
  worker_ending(w);
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

void worker_datagram(struct channel *c, const char *data, size_t len, int fd)
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
    worker_lost(w);
  }
}
