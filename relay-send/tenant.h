#ifndef TENANT_H
#define TENANT_H

#include "list.h"
#include "scheduler.h"

/*
 * A tenant, and its share of the workers. The dynamic threshold: a tenant may
 * start one more connection only while it holds fewer than are free over all.
 * So one tenant alone stops at half, and there is always something left for
 * the next one; nothing is set aside, and nothing has to be configured.
 *
 * A flow whose turn it is while its tenant is at the threshold leaves its
 * lane's round and waits here; as workers become free it goes back, one flow
 * for each that the threshold allows. Nobody searches.
 */
struct tenant {
  struct list_node all;
  struct list_node blocked; /* flows at the threshold, oldest first */
  struct list_node starved; /* in the list of tenants that have blocked flows */
  struct list_node unasked; /* domains that wait for this tenant's look-ups to come back */
  struct list_node line;    /* in the list of tenants that have such domains */
  uint32_t recipients;
  uint32_t active;  /* jobs */
  uint32_t sending; /* recipients in them */
  uint32_t lookups; /* DNS questions in flight */
  uint32_t users;   /* messages and flows and jobs that point here */
  bool held;
  char name[];
};

extern struct list tenants;

void tenant_start(void);
struct tenant *tenant_get(const char *name); /* made if new; counts one user */
struct tenant *tenant_find(const char *name);
void tenant_use(struct tenant *t);
void tenant_release(struct tenant *t);

/* May it start one more, with busy of total workers busy? */
bool tenant_allowed(const struct tenant *t, uint64_t busy, uint64_t total);

struct flow;
void tenant_block(struct flow *flow); /* takes it out of its lane's round */

/* A worker has become free, or total has changed: flows that may go back do. */
void tenant_wake(uint64_t busy, uint64_t total);

#endif
