#include "hold.h"

#include "dispatch_client.h"
#include "domain.h"
#include "hash.h"
#include "lane.h"
#include "memory.h"
#include "scan.h"
#include "seqpacket.h"
#include "tenant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hold {
  const char *name; /* "kind value" as it was written, and noted */
  char key[];       /* the same, of a site in lower case: nobody tells its spellings apart */
};

static struct hash holds;
static bool all;

static const void *key(const void *item, size_t *len)
{
  const struct hold *h = item;

  *len = strlen(h->key);
  return h->key;
}

static void fold(char *name)
{
  if (strncmp(name, "site ", 5) == 0) {
    scan_lowercase(name, strlen(name));
  }
}

void hold_start(void)
{
  hash_init(&holds, key);
}

static void name_hold(char *out, size_t size, const char *kind, const char *value)
{
  snprintf(out, size, "%s %s", kind, value);
}

static struct hold *find(const char *name)
{
  char folded[DISPATCH_NOTE_KEY_SIZE];

  snprintf(folded, sizeof folded, "%s", name);
  fold(folded);
  return hash_find(&holds, folded, strlen(folded));
}

bool hold_is(const char *kind, const char *value)
{
  char name[DISPATCH_NOTE_KEY_SIZE];

  if (holds.count == 0) {
    return false;
  }
  name_hold(name, sizeof name, kind, value);
  return find(name) != NULL;
}

bool hold_covers(const struct rcpt *r)
{
  const struct message *m = rcpt_message((struct rcpt *)r);

  return all || m->held || m->tenant->held || r->domain->held ||
         (r->domain->site && r->domain->site->held);
}

unsigned hold_describe(const struct rcpt *r, char *out, size_t size)
{
  const struct message *m = rcpt_message((struct rcpt *)r);
  const struct site *site = r->domain->site;
  const struct {
    bool on;
    const char *kind, *value;
  } held[] = {
    {all, "all mail", ""},
    {m->held, "this message", ""},
    {m->tenant->held, "tenant ", m->tenant->name},
    {site && site->held, "site ", site ? site->name : ""},
    {r->domain->held, "domain ", r->domain->name},
  };
  unsigned count = 0;
  size_t used = 0;

  *out = '\0';
  for (size_t i = 0; i < sizeof held / sizeof *held && used < size; i++) {
    if (held[i].on) {
      used += (size_t)snprintf(out + used, size - used, "%s%s%s", count++ > 0 ? ", " : "",
                               held[i].kind, held[i].value);
    }
  }
  return count;
}

static void flag_sites(const char *name, bool on)
{
  for (struct list_node *node = sites.head.next; node != &sites.head; node = node->next) {
    struct site *site = LIST_ITEM(node, struct site, all);
    if (!scan_case_equal(site->name, strlen(site->name), name, strlen(name))) {
      continue;
    }
    site->held = on;
    for (struct list_node *l = site->lanes.next; l != &site->lanes; l = l->next) {
      lane_wake(LIST_ITEM(l, struct lane, in_site));
    }
  }
}

static void flag(const char *kind, const char *value, bool on)
{
  if (strcmp(kind, "all") == 0) {
    all = on;
  } else if (strcmp(kind, "id") == 0) {
    struct message *m = message_find(value);
    if (m) {
      m->held = on;
    }
  } else if (strcmp(kind, "tenant") == 0) {
    struct tenant *t = tenant_find(value);
    if (t) {
      t->held = on;
    }
  } else if (strcmp(kind, "domain") == 0) {
    struct domain *d = domain_find(value);
    if (d) {
      d->held = on;
    }
  } else if (strcmp(kind, "site") == 0) {
    flag_sites(value, on);
  }
}

static void put_note(const char *name, bool on)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char note[DISPATCH_NOTE_KEY_SIZE];

  snprintf(note, sizeof note, "hold %s", name);
  if (netstring_put_str(&b, "N") == -1 || netstring_put_str(&b, note) == -1 ||
      netstring_put_str(&b, on ? "1" : "") == -1) {
    memory_out();
  }
  dispatch_client_send(&b, -1);
  buf_free(&b);
}

/* False: it is one already. */
static bool add(const char *name)
{
  size_t size = strlen(name) + 1;
  struct hold *h;

  if (find(name)) {
    return false;
  }
  h = memory_get(sizeof *h + 2 * size);
  memcpy(h->key, name, size);
  fold(h->key);
  h->name = memcpy(h->key + size, name, size);
  if (hash_insert(&holds, h) == -1) {
    memory_out();
  }
  return true;
}

bool hold_set(const char *kind, const char *value, bool on)
{
  char name[DISPATCH_NOTE_KEY_SIZE - 5];
  struct hold *h;

  name_hold(name, sizeof name, kind, value);
  if (on && !add(name)) {
    return false;
  }
  h = find(name);
  if (!h) {
    return false;
  }
  flag(kind, value, on);
  put_note(h->name, on);
  if (!on) {
    free(hash_remove(&holds, h->key, strlen(h->key)));
  }
  return true;
}

const char *hold_next(size_t *cursor)
{
  const struct hold *h = hash_next(&holds, cursor);

  return h ? h->name : NULL;
}

void hold_note(const char *note, const char *value)
{
  char kind[16];
  const char *name = note + 5, *blank = strchr(name, ' ');

  if (strncmp(note, "hold ", 5) != 0 || !*value || !blank || blank - name >= (int)sizeof kind) {
    return;
  }
  snprintf(kind, sizeof kind, "%.*s", (int)(blank - name), name);
  add(name);
  flag(kind, blank + 1, true);
}

void hold_apply_ids(void)
{
  size_t cursor = 0;
  const char *name;

  while ((name = hold_next(&cursor)) != NULL) {
    if (strncmp(name, "id ", 3) == 0) {
      flag("id", name + 3, true);
    }
  }
}
