/* O: where a worker is to connect, and what is demanded of the connection. */
#include "worker.h"

#include "departure.h"
#include "domain.h"
#include "memory.h"
#include "scheduler.h"
#include "tls_memory.h"

#include <string.h>

static bool put(struct worker *w, const struct work_tls tls[WORK_HOSTS_MAX], struct buf *b)
{
  bool failed = work_put_open(b, w->hosts) == -1;

  for (uint32_t i = 0; i < w->hosts->host_count; i++) {
    failed = failed || work_put_tls(b, &tls[i]) == -1;
  }
  return !failed;
}

void worker_put_open(struct worker *w, struct buf *b)
{
  static struct work_tls tls[WORK_HOSTS_MAX]; /* 20 KB */
  const struct domain *d = job_domain(w->job);

  w->hosts = memory_get(sizeof *w->hosts);
  departure_open(w);
  w->hosts->timeouts = sched.settings.timeouts;
  /* We tell it to quit when it is idle for so long; by itself it waits longer, so that no job is
   * on its way to one that is leaving. */
  w->hosts->timeouts.idle += 60;
  if (d->route) {
    route_fill(d->route, w->hosts, w->ranks);
    route_demands(d->route, &sched.settings.tlspolicy, d->name, w->hosts, tls);
  }
  for (uint32_t i = 0; i < w->hosts->host_count; i++) {
    w->demands[i] = tlspolicy_digest(&tls[i]);
    tls_memory_recall(w->demands[i], &w->hosts->hosts[i], &tls[i]);
  }
  if (!put(w, tls, b)) {
    memory_out();
  }
  explicit_bzero(tls, sizeof tls); /* sessions */
}
