#include "departure.h"

#include "domain.h"
#include "learn.h"
#include "results.h"
#include "sources.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

static const struct sourceline *line_of(const struct lane *lane)
{
  return sourcelist_find(&sched.settings.sources, sources_name(lane->source));
}

bool departure_known(const struct lane *lane)
{
  return lane->source == 0 || line_of(lane) != NULL;
}

const struct route_host *departure_first(const struct lane *lane, const struct route *route)
{
  const struct sourceline *line = lane->source == 0 ? NULL : line_of(lane);

  for (uint32_t i = 0; i < route->count; i++) {
    if (!line || source_reaches(&line->ip4, &line->ip6, &route->hosts[i].ip)) {
      return &route->hosts[i];
    }
  }
  return NULL;
}

bool departure_possible(struct lane *lane, struct rcpt *r)
{
  struct outcome o = {.verdict = VERDICT_DEFERRED, .stage = STAGE_NONE, .status = "4.3.5"};
  const char *name = sources_name(lane->source);

  if (lane->source == 0) {
    return true;
  }
  const struct sourceline *line = line_of(lane);
  if (!line) {
    snprintf(o.reply, sizeof o.reply, "source %s is not in control/sources", name);
    lane_stranded(lane, &o);
    return false;
  }
  if (departure_first(lane, r->domain->route)) {
    return true;
  }
  snprintf(o.reply, sizeof o.reply, "source %s has no %s address, and %s has no other", name,
           line->ip4.family ? "IPv6" : "IPv4", r->domain->name);
  if (lane->site->shared) { /* other domains of the provider may have other hosts */
    rcpt_detach(r);
    results_local(r, &o);
  } else {
    lane_stranded(lane, &o);
  }
  return false;
}

void departure_open(struct worker *w)
{
  const struct sourceline *line = w->lane->source == 0 ? NULL : line_of(w->lane);
  struct work_open *open = w->hosts;

  w->generation = w->lane->generation;
  snprintf(open->helo, sizeof open->helo, "%s",
           line && *line->helo ? line->helo : sched.settings.helo);
  if (line) {
    open->source4 = line->ip4;
    open->source6 = line->ip6;
  }
}

static void renew(struct lane *lane)
{
  lane->generation++; /* busy ones end after their transaction: worker_rest() */
  while (lane->idle_count > 0) {
    worker_retire(LIST_ITEM(lane->idle.next, struct worker, idle));
  }
  lane_retry(lane);
}

void departure_settings_changed(const struct settings *old)
{
  for (struct list_node *s = sites.head.next; s != &sites.head; s = s->next) {
    struct site *site = LIST_ITEM(s, struct site, all);
    for (struct list_node *l = site->lanes.next; l != &site->lanes; l = l->next) {
      struct lane *lane = LIST_ITEM(l, struct lane, in_site);
      if (lane->source != 0 && !sourcelist_same(&old->sources, &sched.settings.sources,
                                                sources_name(lane->source))) {
        renew(lane);
      }
    }
  }
}
