#include "authd_clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_DELAY_MS 1000
#define SWEEP_BATCH 64

static const void *client_key(const void *item, size_t *len)
{
  const struct authd_client *c = item;

  *len = strlen(c->name);
  return c->name;
}

void authd_clients_init(struct authd_clients *c)
{
  hash_init(&c->by_name, client_key);
}

struct authd_client *authd_clients_get(struct authd_clients *c, const char *name, int64_t now)
{
  struct authd_client *client = hash_find(&c->by_name, name, strlen(name));

  if (!client) {
    client = calloc(1, sizeof *client);
    if (!client) {
      return NULL;
    }
    snprintf(client->name, sizeof client->name, "%s", name);
    if (hash_insert(&c->by_name, client) < 0) {
      free(client);
      return NULL;
    }
  }
  if (client->forget <= now) {
    client->failures = 0;
  }
  client->refs++;
  return client;
}

static void forget(struct authd_clients *c, struct authd_client *client)
{
  hash_remove(&c->by_name, client->name, strlen(client->name));
  free(client);
}

void authd_clients_put(struct authd_clients *c, struct authd_client *client, int64_t now)
{
  client->refs--;
  if (client->refs == 0 &&
      (client->failures == 0 || client->forget <= now || c->by_name.count > AUTHD_CLIENTS_MAX)) {
    forget(c, client);
  }
}

bool authd_client_may(const struct authd_client *client)
{
  return client->busy < (client->failures ? 1 : AUTHD_PER_CLIENT);
}

int64_t authd_client_failed(struct authd_client *client, int64_t now)
{
  unsigned doublings = client->failures < 16 ? client->failures : 16;
  int64_t delay = (int64_t)FIRST_DELAY_MS << doublings;

  client->failures++;
  client->forget = now + AUTHD_FORGET_MS;
  return delay < AUTHD_DELAY_MS ? delay : AUTHD_DELAY_MS;
}

void authd_clients_sweep(struct authd_clients *c, int64_t now)
{
  struct authd_client *old[SWEEP_BATCH], *client;
  size_t n, cursor;

  do { /* the table must not change during a walk, so it is done in batches */
    n = cursor = 0;
    while (n < SWEEP_BATCH && (client = hash_next(&c->by_name, &cursor))) {
      if (client->refs == 0 && client->forget <= now) {
        old[n++] = client;
      }
    }
    for (size_t i = 0; i < n; i++) {
      forget(c, old[i]);
    }
  } while (n == SWEEP_BATCH);
}
