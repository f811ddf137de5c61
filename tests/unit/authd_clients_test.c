#include "authd_clients.h"

#include "check.h"

#include <stdio.h>

int main(void)
{
  struct authd_clients c;
  struct authd_client *a, *b;
  char name[20];

  authd_clients_init(&c);
  a = authd_clients_get(&c, "192.0.2.1", 1000);
  b = authd_clients_get(&c, "192.0.2.2", 1000);
  CHECK(a && b && a != b);
  CHECK(authd_clients_get(&c, "192.0.2.1", 1000) == a);
  authd_clients_put(&c, a, 1000);
  a->busy = AUTHD_PER_CLIENT - 1;
  CHECK(authd_client_may(a));
  a->busy = AUTHD_PER_CLIENT;
  CHECK(!authd_client_may(a));
  CHECK_INT(authd_client_failed(a, 2000), 1000);
  CHECK_INT(authd_client_failed(a, 2000), 2000);
  CHECK_INT(authd_client_failed(a, 2000), 4000);
  for (int i = 0; i < 40; i++) {
    CHECK(authd_client_failed(a, 2000) <= AUTHD_DELAY_MS);
  }
  a->busy = 1;
  CHECK(!authd_client_may(a)); /* one at a time now */
  a->busy = 0;
  CHECK(authd_client_may(a));
  CHECK(authd_client_may(b));
  authd_clients_put(&c, a, 3000);
  CHECK_INT(c.by_name.count, 2); /* remembered */
  a = authd_clients_get(&c, "192.0.2.1", 3000);
  CHECK(a->failures > 3);
  authd_clients_put(&c, a, 3000);
  authd_clients_sweep(&c, 3000);
  CHECK_INT(c.by_name.count, 2);
  a = authd_clients_get(&c, "192.0.2.1", 2000 + AUTHD_FORGET_MS);
  CHECK_INT(a->failures, 0);
  authd_clients_put(&c, a, 2000 + AUTHD_FORGET_MS);
  authd_clients_put(&c, b, 3000);
  CHECK_INT(c.by_name.count, 0); /* nothing to remember */
  for (int i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "192.0.3.%d", i);
    a = authd_clients_get(&c, name, 5000);
    authd_client_failed(a, 5000 + i);
    authd_clients_put(&c, a, 5000);
  }
  CHECK_INT(c.by_name.count, 200);
  authd_clients_sweep(&c, 5000 + 99 + AUTHD_FORGET_MS);
  CHECK_INT(c.by_name.count, 100);
  authd_clients_sweep(&c, 6000 + AUTHD_FORGET_MS);
  CHECK_INT(c.by_name.count, 0);
  hash_free(&c.by_name);
  return check_done("authd_clients_test");
}
