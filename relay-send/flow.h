#ifndef FLOW_H
#define FLOW_H

#include "message.h"

struct lane;

/*
 * A flow is one tenant's ready recipients in one lane: by priority, then first
 * in first out. A lane's flows take turns by deficit round robin.
 *
 * What is shared is the time of a connection, so that is what a transaction is
 * charged with: a round of replies costs 1 (FLOW_UNIT), which is what a small
 * message is; each further recipient an eighth, being one more reply in a
 * pipeline; the content 1 per 256 KiB, about what a connection moves in the
 * time of a round of replies. A flow may go into debt and then sits out
 * turns, at most FLOW_COST_MAX of them, so that finding the next flow is O(1)
 * amortised and no message is too big for its turn.
 */
#define FLOW_UNIT 256
#define FLOW_COST_MAX (16 * FLOW_UNIT)
#define FLOW_BYTES_A_UNIT (256 << 10)

struct flow_queue { /* of one priority */
  struct list_node rcpts;
  struct flow_queue *lower; /* the next lower priority */
  uint8_t priority;
};

struct flow {
  struct list_node round; /* the lane's round, or the tenant's blocked list */
  struct lane *lane;
  struct tenant *tenant;
  struct flow_queue *highest;
  uint32_t ready;
  int32_t deficit;
  bool blocked;
};

void flow_start(void);

/* Puts the recipient into its flow (made if new), which joins the lane's round; the lane wakes. */
void flow_add(struct lane *lane, struct rcpt *r, bool first);

/* Takes a ready recipient out. The flow goes with its last one. */
void flow_remove(struct rcpt *r);

/* The flow whose turn it is, NULL if none has anything. Charges nothing. */
struct flow *flow_turn(struct lane *lane);
struct rcpt *flow_first(const struct flow *flow);
struct rcpt *flow_after(const struct flow *flow, struct rcpt *r); /* NULL: the last */

int32_t flow_cost(uint64_t bytes, uint32_t rcpts);
/* The flow has had a transaction; its turn is over. The flow may be gone afterwards. */
void flow_charge(struct flow *flow, int32_t cost);

void flow_join_round(struct flow *flow);
void flow_leave_round(struct flow *flow);

#endif
