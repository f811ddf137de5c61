/* Whose turn it is: deficit round robin within a lane, priorities, the dynamic threshold. */
#include "domain.h"
#include "flow.h"
#include "hold.h"
#include "lane.h"
#include "message.h"
#include "tenant.h"

#include "check.h"

#include <stdlib.h>

static struct lane *lane;
static uint64_t last_serial;

static struct rcpt *add(const char *tenant, int priority, uint64_t size)
{
  struct dispatch_message m = {.serial = ++last_serial, .id = "0123456789ABCDEF", .rcpts_total = 1,
                               .priority = priority, .content_len = size, .last = true};
  struct dispatch_rcpt r = {.address = "a@one.test", .state = RCPT_PENDING};

  strcpy(m.tenant, tenant);
  struct message *made = message_make(&m, &r);
  CHECK(made != NULL);
  flow_add(lane, &made->rcpts[0], false);
  return &made->rcpts[0];
}

/* One transaction of whoever's turn it is: its tenant, and the first letter and serial in order. */
static const char *take(uint64_t *serial)
{
  static char name[65];
  struct flow *flow = flow_turn(lane);

  if (!flow) {
    return "";
  }
  struct rcpt *r = flow_first(flow);
  struct message *m = rcpt_message(r);
  snprintf(name, sizeof name, "%s", m->tenant->name);
  if (serial) {
    *serial = m->serial;
  }
  flow_charge(flow, flow_cost(m->content_len, 1));
  rcpt_detach(r);
  rcpt_end(r);
  return name;
}

static void order(char *out, size_t count)
{
  size_t i = 0;

  for (; i < count; i++) {
    const char *name = take(NULL);
    if (!*name) {
      break;
    }
    out[i] = name[0];
  }
  out[i] = '\0';
}

static void test_flood(void)
{
  char got[64];

  for (int i = 0; i < 1000; i++) {
    add("m", 50, 1000);
  }
  order(got, 3);
  CHECK_STR(got, "mmm");
  for (int i = 0; i < 3; i++) {
    add("a", 50, 1000);
    add("c", 50, 1000);
  }
  /* The quiet two come at once and in turn, whatever m has queued. */
  order(got, 12);
  CHECK_STR(got, "macmacmacmmm");
  CHECK_INT(lane->ready, 991);
  while (*take(NULL)) {
  }
  CHECK_INT(lane->ready, 0);
  CHECK_INT(lane->tenants, 0);
}

/* Who sends big messages has fewer of them: what is shared is the time of connections. */
static void test_sizes(void)
{
  unsigned big = 0, small = 0;

  for (int i = 0; i < 400; i++) {
    add("b", 50, 1 << 20); /* cost 5 */
    add("s", 50, 0);       /* cost 1 */
  }
  for (int i = 0; i < 300; i++) {
    if (take(NULL)[0] == 'b') {
      big++;
    } else {
      small++;
    }
  }
  CHECK(big >= 49 && big <= 51);
  CHECK(small >= 249 && small <= 251);
  while (*take(NULL)) {
  }
  CHECK_INT(flow_cost(0, 1), FLOW_UNIT);
  CHECK_INT(flow_cost(0, 9), 2 * FLOW_UNIT);
  CHECK_INT(flow_cost(256 << 10, 1), 2 * FLOW_UNIT);
  CHECK_INT(flow_cost(1ULL << 31, 100), FLOW_COST_MAX);
}

static void test_priority(void)
{
  uint64_t got[5];
  uint64_t first = last_serial + 1;

  add("p", 50, 0);
  add("p", 10, 0);
  add("p", 99, 0);
  add("p", 50, 0);
  add("p", 99, 0);
  for (int i = 0; i < 5; i++) {
    take(&got[i]);
    got[i] -= first;
  }
  CHECK_INT(got[0], 2);
  CHECK_INT(got[1], 4);
  CHECK_INT(got[2], 0);
  CHECK_INT(got[3], 3);
  CHECK_INT(got[4], 1);
}

static void test_threshold(void)
{
  struct tenant *m = tenant_get("m"), *a = tenant_get("a");
  uint64_t busy = 0, total = 20;

  while (tenant_allowed(m, busy, total)) {
    m->active++;
    busy++;
  }
  CHECK_INT(m->active, 10); /* alone: half */
  while (tenant_allowed(a, busy, total)) {
    a->active++;
    busy++;
  }
  CHECK_INT(a->active, 5); /* then half of the rest */
  CHECK(!tenant_allowed(m, busy, total));

  /* A blocked flow is out of the round, and back as soon as the threshold allows. */
  add("m", 50, 0);
  add("c", 50, 0);
  struct flow *flow = flow_turn(lane);
  CHECK_STR(flow->tenant->name, "m");
  tenant_block(flow);
  CHECK_STR(flow_turn(lane)->tenant->name, "c");
  tenant_wake(busy, total);
  CHECK(flow->blocked);
  m->active = 4;
  tenant_wake(busy - 6, total);
  CHECK(!flow->blocked);
  m->active = a->active = 0;
  while (*take(NULL)) {
  }
  tenant_release(m);
  tenant_release(a);
  CHECK_INT(tenants.count, 0);
}

static void test_ids(void)
{
  char id[ID_SIZE];
  struct rcpt *r = add("i", 50, 0);

  message_id(rcpt_message(r), id);
  CHECK_STR(id, "0123456789ABCDEF");
  CHECK(message_find("0123456789ABCDEF") == rcpt_message(r));
  CHECK(message_find("0123456789ABCDEG") == NULL);
  CHECK(message_find("short") == NULL);
  take(NULL);
  CHECK(message_find("0123456789ABCDEF") == NULL);
}

int main(void)
{
  timer_start();
  message_start();
  tenant_start();
  flow_start();
  hold_start();
  lane_start();
  domain_start();
  sched.settings.window_initial = 2;
  sched.settings.site_connections = 20;
  struct site *site = site_get("mx.one.test ", "mx.one.test", false);
  lane = lane_get(site, 0);
  test_flood();
  test_sizes();
  test_priority();
  test_threshold();
  test_ids();
  return check_done("send_flow");
}
