#include "tenant.h"

#include "flow.h"
#include "hash.h"
#include "hold.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

struct list tenants;
static struct hash by_name;
static struct list_node starved;

static const void *key(const void *item, size_t *len)
{
  const struct tenant *t = item;

  *len = strlen(t->name);
  return t->name;
}

void tenant_start(void)
{
  list_init(&tenants);
  list_head_init(&starved);
  hash_init(&by_name, key);
}

struct tenant *tenant_find(const char *name)
{
  return hash_find(&by_name, name, strlen(name));
}

struct tenant *tenant_get(const char *name)
{
  struct tenant *t = tenant_find(name);

  if (!t) {
    t = memory_get(sizeof *t + strlen(name) + 1);
    strcpy(t->name, name);
    list_head_init(&t->blocked);
    list_head_init(&t->starved);
    list_head_init(&t->unasked);
    list_head_init(&t->line);
    t->held = hold_is("tenant", name);
    if (hash_insert(&by_name, t) == -1) {
      memory_out();
    }
    list_append(&tenants, &t->all);
  }
  t->users++;
  return t;
}

void tenant_use(struct tenant *t)
{
  t->users++;
}

void tenant_release(struct tenant *t)
{
  if (--t->users == 0) {
    list_remove(&tenants, &t->all);
    list_unlink(&t->starved);
    hash_remove(&by_name, t->name, strlen(t->name));
    free(t);
  }
}

bool tenant_allowed(const struct tenant *t, uint64_t busy, uint64_t total)
{
  /* With one or two workers in all, half would be none. */
  return busy < total && (t->active < total - busy || t->active == 0);
}

void tenant_block(struct flow *flow)
{
  struct tenant *t = flow->tenant;

  flow_leave_round(flow);
  list_link(&t->blocked, &flow->round);
  flow->blocked = true;
  if (list_head_empty(&t->starved)) {
    list_link(&starved, &t->starved);
  }
}

void tenant_wake(uint64_t busy, uint64_t total)
{
  struct list_node *node = starved.next;

  /*
   * Few tenants can be at the threshold at once: each of them holds at least as
   * many workers as are free. So this walk is short.
   */
  while (node != &starved && busy < total) {
    struct tenant *t = LIST_ITEM(node, struct tenant, starved);
    node = node->next;
    if (!list_head_empty(&t->blocked) && tenant_allowed(t, busy, total)) {
      flow_join_round(LIST_ITEM(t->blocked.next, struct flow, round));
      busy++; /* that flow is about to take one */
    }
    if (list_head_empty(&t->blocked)) {
      list_unlink(&t->starved);
    }
  }
}
