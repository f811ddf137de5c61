#include "tls_memory.h"

#include "hash.h"
#include "list.h"
#include "memory.h"
#include "scheduler.h"
#include "timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known {
  struct known_key {
    uint64_t digest;
    unsigned char ip[16];
    uint16_t family, port;
    uint32_t padding; /* 0: keys are compared by bytes */
  } key;
  struct list_node order; /* the oldest first */
  int64_t until;
  bool broken; /* data is a text, else a session */
  uint32_t len;
  unsigned char data[];
};

static struct hash by_key;
static struct timer timer; /* pending while there is anything */
static struct list_node order;

static const void *key(const void *item, size_t *len)
{
  const struct known *k = item;

  *len = sizeof k->key;
  return &k->key;
}


static struct known_key key_of(uint64_t digest, const struct work_host *host)
{
  struct known_key k = {
    .digest = digest, .family = (uint16_t)host->ip.family, .port = (uint16_t)host->port};

  memcpy(k.ip, host->ip.bytes, host->ip.family == AF_INET ? 4 : 16);
  return k;
}

static void forget(struct known *k)
{
  hash_remove(&by_key, &k->key, sizeof k->key);
  list_unlink(&k->order);
  explicit_bzero(k->data, k->len);
  free(k);
}

static void look(struct timer *t)
{
  struct list_node *node = order.next;

  while (node != &order) {
    struct known *k = LIST_ITEM(node, struct known, order);
    node = node->next;
    if (k->until <= sched.now) {
      forget(k);
    }
  }
  if (!list_head_empty(&order)) {
    timer_set(t, sched.now + TLS_MEMORY_LOOK_MS);
  }
}

void tls_memory_start(void)
{
  hash_init(&by_key, key);
  list_head_init(&order);
  timer_init(&timer, TIMER_TLS);
  timer_handler(TIMER_TLS, look);
}

void tls_memory_recall(uint64_t digest, const struct work_host *host, struct work_tls *demand)
{
  struct known_key wanted = key_of(digest, host);
  struct known *k = hash_find(&by_key, &wanted, sizeof wanted);

  if (k && k->until <= sched.now) {
    forget(k);
  } else if (k && k->broken && demand->kind == TLS_MAY) {
    snprintf(demand->reason, sizeof demand->reason, "%.*s", (int)k->len, (char *)k->data);
  } else if (k && !k->broken) {
    memcpy(demand->session, k->data, k->len);
    demand->session_len = k->len;
  }
}

static void keep(const struct known_key *wanted, bool broken, const void *data, size_t len)
{
  struct known *k = hash_find(&by_key, wanted, sizeof *wanted);

  if (k) {
    forget(k);
  } else if (by_key.count >= TLS_MEMORY_MAX) {
    forget(LIST_ITEM(order.next, struct known, order));
  }
  k = memory_get(sizeof *k + len);
  k->key = *wanted;
  k->broken = broken;
  k->until = sched.now + (broken ? TLS_MEMORY_BROKEN_MS : TLS_MEMORY_SESSION_MS);
  k->len = (uint32_t)len;
  memcpy(k->data, data, len);
  if (list_head_empty(&order)) {
    timer_set(&timer, sched.now + TLS_MEMORY_LOOK_MS);
  }
  list_link(&order, &k->order);
  if (hash_insert(&by_key, k) == -1) {
    memory_out();
  }
}

void tls_memory_learn(uint64_t digest, const struct work_host *host,
                      const struct work_tls_result *result)
{
  struct known_key wanted = key_of(digest, host);

  if (*result->broken) {
    keep(&wanted, true, result->broken, strlen(result->broken));
  } else if (result->session_len > 0) {
    keep(&wanted, false, result->session, result->session_len);
  }
}
