/* The rows of relay-ctl stat: of all, or of what a selection's recipients have to do with. */
#include "ctl_client.h"

#include "domain.h"
#include "hash.h"
#include "hold.h"
#include "lane.h"
#include "memory.h"
#include "scan.h"
#include "schedule.h"
#include "tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAT_HOLDS_MAX 2000
#define STAT_LOOKS_A_TURN 2000 /* most domains give no row */

/* What the selection has to do with, by names, because all of it may go while the queue is walked.
 */
struct chosen_name {
  uint64_t recipients;
  char name[]; /* as a hold's: "tenant acme", a site's in lower case */
};

#define NAME_SIZE 512

struct ctl_chosen {
  struct hash names;
  uint64_t messages;
  uint64_t last; /* serial of the message that was counted last */
  uint64_t states[RCPT_PLACES];
};

static const void *key(const void *item, size_t *len)
{
  const struct chosen_name *name = item;

  *len = strlen(name->name);
  return name->name;
}

void ctl_stat_begin(struct ctl_client *c)
{
  c->step = CTL_STEP_RELAY;
  if (strcmp(c->request.kind, "all") != 0) {
    c->chosen = memory_get(sizeof *c->chosen);
    hash_init(&c->chosen->names, key);
    c->step = CTL_STEP_MESSAGES;
  }
}

void ctl_stat_end(struct ctl_client *c)
{
  struct chosen_name *name;
  size_t cursor = 0;

  if (!c->chosen) {
    return;
  }
  while ((name = hash_next(&c->chosen->names, &cursor)) != NULL) {
    free(name);
  }
  hash_free(&c->chosen->names);
  free(c->chosen);
  c->chosen = NULL;
}

/* Returns its length. */
static size_t write_name(char text[NAME_SIZE], const char *kind, const char *value)
{
  snprintf(text, NAME_SIZE, "%s %s", kind, value);
  if (strcmp(kind, "site") == 0) {
    scan_lowercase(text, strlen(text));
  }
  return strlen(text);
}

static void count_name(struct ctl_chosen *chosen, const char *kind, const char *value)
{
  char text[NAME_SIZE];
  size_t len = write_name(text, kind, value);
  struct chosen_name *name = hash_find(&chosen->names, text, len);

  if (!name) {
    name = memory_get(sizeof *name + len + 1);
    memcpy(name->name, text, len + 1);
    if (hash_insert(&chosen->names, name) == -1) {
      memory_out();
    }
  }
  name->recipients++;
}

void ctl_stat_count(struct ctl_client *c, struct rcpt *r)
{
  struct ctl_chosen *chosen = c->chosen;
  const struct message *m = rcpt_message(r);
  char id[ID_SIZE];

  chosen->states[schedule_obstacle(r) ? RCPT_AT_WAITING : r->where]++;
  count_name(chosen, "tenant", m->tenant->name);
  count_name(chosen, "domain", r->domain->name);
  if (r->domain->site) {
    count_name(chosen, "site", r->domain->site->name);
  }
  if (m->held) {
    message_id(m, id);
    count_name(chosen, "id", id);
  }
  /* The recipients of a message come one after the other. */
  if (chosen->last != m->serial) {
    chosen->last = m->serial;
    chosen->messages++;
  }
}

/* How many of the selection; *asked: is it what was asked for by name? */
static uint64_t chosen_of(const struct ctl_client *c, const char *kind, const char *value,
                          bool *asked)
{
  char text[NAME_SIZE];
  const struct chosen_name *name;

  /* As ctl_walk.c selects: only a tenant's name is case-sensitive. */
  *asked = strcmp(c->request.kind, kind) == 0 &&
           (strcmp(kind, "tenant") == 0
              ? strcmp(value, c->request.value) == 0
              : scan_case_equal(value, strlen(value), c->request.value, strlen(c->request.value)));
  name = hash_find(&c->chosen->names, text, write_name(text, kind, value));
  return name ? name->recipients : 0;
}

static void domain_row(struct ctl_client *c, const struct domain *d)
{
  bool asked = false, trouble = d->state == DOMAIN_AGAIN && d->users > 0;
  uint64_t recipients = c->chosen ? chosen_of(c, "domain", d->name, &asked) : d->users;

  if (asked || (trouble && recipients > 0)) {
    ctl_row_domain(c, d, recipients);
  }
}

static void site_rows(struct ctl_client *c, const struct site *site)
{
  bool asked = false;

  if (c->chosen && chosen_of(c, "site", site->name, &asked) == 0 && !asked) {
    return;
  }
  for (struct list_node *node = site->lanes.next; node != &site->lanes; node = node->next) {
    ctl_row_site(c, LIST_ITEM(node, struct lane, in_site));
  }
}

static void tenant_row(struct ctl_client *c, const struct tenant *t)
{
  bool asked = false;
  uint64_t recipients = c->chosen ? chosen_of(c, "tenant", t->name, &asked) : t->recipients;

  if (!c->chosen || asked || recipients > 0) {
    ctl_row_tenant(c, t, recipients);
  }
}

static bool hold_wanted(const struct ctl_client *c, const char *held)
{
  char kind[CTL_VERB_SIZE];
  const char *blank = strchr(held, ' ');
  bool asked = false;

  if (!c->chosen || strncmp(held, "all", 3) == 0 || !blank) {
    return true;
  }
  snprintf(kind, sizeof kind, "%.*s", (int)(blank - held), held);
  return chosen_of(c, kind, blank + 1, &asked) > 0 || asked;
}

/* All at once, as nothing keeps a place among them; more than this nobody reads. */
static void hold_rows(struct ctl_client *c)
{
  const char *held;
  size_t cursor = 0;
  int n = 0;

  while (n < STAT_HOLDS_MAX && (held = hold_next(&cursor)) != NULL) {
    if (hold_wanted(c, held)) {
      ctl_row_hold(c, held);
      n++;
    }
  }
  if (n == STAT_HOLDS_MAX && hold_next(&cursor)) {
    ctl_row_hold(c, "... and more");
  }
}

/* The first rows, then the lists; domains in trouble come before what is well. */
static bool next_step(struct ctl_client *c)
{
  static struct list *const lists[] = {
    [CTL_STEP_DOMAINS] = &domains, [CTL_STEP_SITES] = &sites, [CTL_STEP_TENANTS] = &tenants};

  ctl_walk_end(c);
  if (c->step == CTL_STEP_TENANTS) {
    return false;
  }
  c->step++;
  ctl_walk(c, lists[c->step]);
  return true;
}

bool ctl_stat_step(struct ctl_client *c)
{
  if (c->step == CTL_STEP_RELAY) {
    if (c->chosen) {
      ctl_row_selected(c, c->chosen->messages, c->chosen->states);
    } else {
      ctl_row_relay(c);
    }
    hold_rows(c);
    next_step(c);
  }
  for (int n = 0; n < STAT_LOOKS_A_TURN && c->channel.queued < CTL_ROWS_QUEUED; n++) {
    struct list_node *node = list_step(c->walked, &c->cursor);
    if (!node && !next_step(c)) {
      return true;
    }
    if (!node) {
      continue;
    }
    if (c->step == CTL_STEP_DOMAINS) {
      domain_row(c, LIST_ITEM(node, struct domain, all));
    } else if (c->step == CTL_STEP_SITES) {
      site_rows(c, LIST_ITEM(node, struct site, all));
    } else {
      tenant_row(c, LIST_ITEM(node, struct tenant, all));
    }
  }
  return false;
}
