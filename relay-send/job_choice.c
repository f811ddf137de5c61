#include "job_choice.h"

#include "departure.h"
#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "lane.h"
#include "schedule.h"
#include "worker.h"

#define JOB_LOOK_AHEAD 16  /* recipients, for one that an idle connection can take */
#define JOB_IDLE_LOOKED 8  /* idle connections looked at for each */

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

struct rcpt *job_choose(const struct lane *lane, const struct flow *flow, struct worker **w)
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

bool job_belongs(const struct lane *lane, struct rcpt *r)
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
  const struct route_host *first = departure_first(r->flow->lane, r->domain->route);
  return w ? worker_serves(w, d->route) : route_rank(d->route, &first->ip, first->port) == 0;
}

void job_collect(struct job *job, struct rcpt *r, const struct worker *w)
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
    chosen[i]->job = job;
    list_link(&job->rcpts, &chosen[i]->link);
  }
}
