#include "lookup.h"

#include "channel.h"
#include "memory.h"
#include "report.h"
#include "schedule.h"
#include "seqpacket.h"
#include "stop.h"
#include "tenant.h"

#include <stdio.h>
#include <unistd.h>

static struct channel channel;
static bool have_channel;
static struct hash by_token;
static struct list_node line; /* tenants with domains unasked */
static uint64_t last_token;
static unsigned in_flight;

static const void *key(const void *item, size_t *len)
{
  const struct domain *d = item;

  *len = sizeof d->token;
  return &d->token;
}

void lookup_start(void)
{
  hash_init(&by_token, key);
  list_head_init(&line);
}

unsigned domain_lookups(void)
{
  return in_flight;
}

static void leave_line(struct domain *d)
{
  list_unlink(&d->unasked);
  if (list_head_empty(&d->asker->unasked)) {
    list_unlink(&d->asker->line);
  }
}

static void send_question(struct domain *d, const struct route_plan *plan)
{
  struct resolve_question q = {.kind = plan->kind == ROUTE_HOST ? 'h' : 'm', .port = plan->port};
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  d->token = q.token = ++last_token;
  if (sched.settings.tlspolicy.dane) {
    q.kind = plan->kind == ROUTE_HOST ? 'H' : 'M';
  }
  snprintf(q.name, sizeof q.name, "%s", plan->name);
  if (resolve_put_question(&b, &q) == -1 ||
      channel_send(&channel, b.data, b.len, -1) == -1 || hash_insert(&by_token, d) == -1) {
    memory_out();
  }
  buf_free(&b);
  d->asker->lookups++;
  in_flight++;
}

static bool may_ask(const struct tenant *t)
{
  return have_channel && in_flight < sched.settings.lookups &&
         t->lookups < sched.settings.lookups_tenant;
}

void domain_ask(struct domain *d, struct tenant *t)
{
  struct route_plan plan;

  if (!sched.told || d->token) {
    return;
  }
  route_plan(&sched.settings.smtproutes, d->name, &plan);
  if (plan.kind == ROUTE_DIRECT || plan.kind == ROUTE_REFUSED) {
    domain_settle(d, &plan, NULL);
    return;
  }
  if (d->asker && (d->asker == t || !may_ask(t))) {
    return; /* in line already */
  }
  if (d->asker) {
    /* It waits for another tenant's look-ups, and this one has one free. */
    leave_line(d);
    tenant_release(d->asker);
  }
  tenant_use(t);
  d->asker = t;
  if (may_ask(t)) {
    send_question(d, &plan);
    return;
  }
  list_link(&t->unasked, &d->unasked);
  if (list_head_empty(&t->line)) {
    list_link(&line, &t->line);
  }
}

/* Each tenant in line in turn. Those at their own cap are passed over. */
void lookup_more(void)
{
  struct list_node *node = line.next, *last = line.prev;
  bool end = list_head_empty(&line);

  while (!end && in_flight < sched.settings.lookups) {
    struct tenant *t = LIST_ITEM(node, struct tenant, line);
    end = node == last;
    node = node->next;
    if (!may_ask(t)) {
      continue;
    }
    struct domain *d = LIST_ITEM(t->unasked.next, struct domain, unasked);
    struct route_plan plan;
    list_unlink(&t->line);
    list_unlink(&d->unasked);
    if (!list_head_empty(&t->unasked)) {
      list_link(&line, &t->line);
    }
    route_plan(&sched.settings.smtproutes, d->name, &plan);
    if (plan.kind == ROUTE_HOST || plan.kind == ROUTE_MX) {
      send_question(d, &plan);
    } else {
      /* HUP made it direct while it stood in line: the next recipient settles it. */
      d->asker = NULL;
      tenant_release(t);
      timer_set(&d->timer, sched.now);
    }
  }
}

void domain_answer(const struct resolve_answer *a)
{
  struct domain *d = hash_remove(&by_token, &a->token, sizeof a->token);
  struct route_plan plan;

  if (!d) {
    return;
  }
  struct tenant *t = d->asker;
  d->token = 0;
  d->asker = NULL;
  in_flight--;
  t->lookups--;
  tenant_release(t);
  route_plan(&sched.settings.smtproutes, d->name, &plan);
  domain_settle(d, &plan, a);
  lookup_more();
}

void lookup_forget(struct domain *d)
{
  if (d->token) {
    hash_remove(&by_token, &d->token, sizeof d->token);
    d->token = 0;
    in_flight--;
    d->asker->lookups--;
  } else if (d->asker) {
    leave_line(d);
  }
  if (d->asker) {
    tenant_release(d->asker);
    d->asker = NULL;
  }
}

static void datagram(struct channel *c, const char *data, size_t len, int fd)
{
  static struct resolve_answer a;

  sched_clock();
  (void)c;
  if (fd != -1) {
    close(fd);
  }
  if (resolve_get_answer(data, len, &a) == -1) {
    report_warning("the resolver sent a garbled answer");
    return;
  }
  domain_answer(&a);
}

static void closed(struct channel *c)
{
  sched_clock();
  channel_close(c);
  have_channel = false;
  stop_failed("the resolver has ended");
}

void lookup_channel(int fd)
{
  if (have_channel) {
    close(fd);
    return;
  }
  channel.datagram = datagram;
  channel.closed = closed;
  if (channel_open(&channel, &sched.loop, fd) == -1) {
    close(fd);
    stop_failed("unable to watch the resolver");
    return;
  }
  have_channel = true;
  lookup_more();
}

void lookup_flush(void)
{
  if (have_channel) {
    channel_flush(&channel);
  }
}

bool lookup_stalled(void)
{
  return have_channel && channel_stalled(&channel);
}
