#include "flow.h"

#include "hash.h"
#include "lane.h"
#include "memory.h"
#include "tenant.h"

#include <stdlib.h>

static struct hash flows;

/* lane and tenant stand next to each other in struct flow: together they are the key. */
struct flow_key {
  struct lane *lane;
  struct tenant *tenant;
};

static const void *key(const void *item, size_t *len)
{
  const struct flow *flow = item;

  *len = sizeof(struct flow_key);
  return &flow->lane;
}

void flow_start(void)
{
  _Static_assert(offsetof(struct flow, tenant) ==
                     offsetof(struct flow, lane) + offsetof(struct flow_key, tenant),
                 "the key of a flow is not in one piece");
  hash_init(&flows, key);
}

static struct flow *flow_get(struct lane *lane, struct tenant *tenant)
{
  struct flow_key wanted = {lane, tenant};
  struct flow *flow = hash_find(&flows, &wanted, sizeof wanted);

  if (flow) {
    return flow;
  }
  flow = memory_get(sizeof *flow);
  flow->lane = lane;
  flow->tenant = tenant;
  flow->deficit = FLOW_UNIT;
  list_head_init(&flow->round);
  if (hash_insert(&flows, flow) == -1) {
    memory_out();
  }
  tenant_use(tenant);
  lane_use(lane);
  lane->tenants++;
  return flow;
}

static void flow_free(struct flow *flow)
{
  struct flow_key gone = {flow->lane, flow->tenant};

  hash_remove(&flows, &gone, sizeof gone);
  list_unlink(&flow->round);
  while (flow->highest) {
    struct flow_queue *queue = flow->highest;
    flow->highest = queue->lower;
    free(queue);
  }
  free(flow);
  gone.lane->tenants--;
  lane_release(gone.lane);
  tenant_release(gone.tenant);
}

/* At most a hundred priorities, nearly always one. */
static struct flow_queue *queue_get(struct flow *flow, uint8_t priority)
{
  struct flow_queue **at = &flow->highest;

  while (*at && (*at)->priority > priority) {
    at = &(*at)->lower;
  }
  if (!*at || (*at)->priority != priority) {
    struct flow_queue *queue = memory_get(sizeof *queue);
    list_head_init(&queue->rcpts);
    queue->priority = priority;
    queue->lower = *at;
    *at = queue;
  }
  return *at;
}

void flow_add(struct lane *lane, struct rcpt *r, bool first)
{
  struct message *m = rcpt_message(r);
  struct flow *flow = flow_get(lane, m->tenant);
  struct flow_queue *queue = queue_get(flow, m->priority);

  list_link(first ? queue->rcpts.next : &queue->rcpts, &r->link);
  r->flow = flow;
  rcpt_place(r, RCPT_AT_READY);
  lane_count(lane, 1);
  if (flow->ready++ == 0) {
    flow_join_round(flow);
  } else if (!flow->blocked) {
    lane_wake(lane);
  }
}

void flow_remove(struct rcpt *r)
{
  struct flow *flow = r->flow;

  list_unlink(&r->link);
  r->flow = NULL;
  lane_count(flow->lane, -1);
  if (--flow->ready == 0) {
    flow_free(flow);
  }
}

void flow_join_round(struct flow *flow)
{
  list_unlink(&flow->round);
  flow->blocked = false;
  list_link(&flow->lane->round, &flow->round);
  lane_wake(flow->lane);
}

void flow_leave_round(struct flow *flow)
{
  list_unlink(&flow->round);
}

struct flow *flow_turn(struct lane *lane)
{
  while (!list_head_empty(&lane->round)) {
    struct flow *flow = LIST_ITEM(lane->round.next, struct flow, round);
    if (flow->deficit <= 0) {
      flow->deficit += FLOW_UNIT;
    }
    if (flow->deficit > 0) {
      return flow;
    }
    list_unlink(&flow->round);
    list_link(&lane->round, &flow->round);
  }
  return NULL;
}

struct rcpt *flow_first(const struct flow *flow)
{
  for (struct flow_queue *queue = flow->highest; queue; queue = queue->lower) {
    if (!list_head_empty(&queue->rcpts)) {
      return LIST_ITEM(queue->rcpts.next, struct rcpt, link);
    }
  }
  return NULL;
}

struct rcpt *flow_after(const struct flow *flow, struct rcpt *r)
{
  struct list_node *next = r->link.next;

  /* A look ahead stays within one priority: the first non-empty one. */
  for (struct flow_queue *queue = flow->highest; queue; queue = queue->lower) {
    if (next == &queue->rcpts) {
      return NULL;
    }
  }
  return LIST_ITEM(next, struct rcpt, link);
}

int32_t flow_cost(uint64_t bytes, uint32_t rcpts)
{
  uint64_t cost = FLOW_UNIT + bytes / (FLOW_BYTES_A_UNIT / FLOW_UNIT);

  cost += rcpts > 1 ? (uint64_t)(rcpts - 1) * (FLOW_UNIT / 8) : 0;
  return cost > FLOW_COST_MAX ? FLOW_COST_MAX : (int32_t)cost;
}

void flow_charge(struct flow *flow, int32_t cost)
{
  flow->deficit -= cost;
  list_unlink(&flow->round);
  list_link(&flow->lane->round, &flow->round);
}
