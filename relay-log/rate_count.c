/* Lines to numbers. */
#include "rate.h"

#include "scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rate_session {
  uint32_t key[2]; /* directory, pid */
  bool relay;      /* of a client: may relay */
  char site[256];  /* of a worker */
};

static const void *session_key(const void *item, size_t *len)
{
  *len = sizeof(((const struct rate_session *)item)->key);
  return ((const struct rate_session *)item)->key;
}

static const void *name_key(const void *item, size_t *len)
{
  const char *name = ((const struct rate_name *)item)->name;

  *len = strlen(name);
  return name;
}

void rate_init(struct rate *r)
{
  *r = (struct rate){0};
  hash_init(&r->sessions, session_key);
  hash_init(&r->tenants, name_key);
  hash_init(&r->sites, name_key);
}

static void copy(char out[256], struct log_text text)
{
  size_t len = text.len < 255 ? text.len : 255;

  memcpy(out, len ? text.s : "", len);
  out[len] = '\0';
}

static struct rate_session *session(struct rate *r, unsigned directory, uint32_t pid, bool make)
{
  uint32_t key[2] = {directory, pid};
  struct rate_session *s = hash_find(&r->sessions, key, sizeof(key));

  if (s || !make) {
    return s;
  }
  s = calloc(1, sizeof(*s));
  if (s) {
    memcpy(s->key, key, sizeof(key));
    if (hash_insert(&r->sessions, s) == -1) {
      free(s);
      s = NULL;
    }
  }
  return s;
}

static struct rate_name *name(struct hash *names, struct log_text text)
{
  struct rate_name made, *n;

  copy(made.name, text.len ? text : (struct log_text){"-", 1});
  n = hash_find(names, made.name, strlen(made.name));
  if (n) {
    return n;
  }
  n = calloc(1, sizeof(*n));
  if (n) {
    memcpy(n->name, made.name, sizeof(n->name));
    if (hash_insert(names, n) == -1) {
      free(n);
      n = NULL;
    }
  }
  return n;
}

static void forget_session(struct rate *r, unsigned directory, uint32_t pid)
{
  uint32_t key[2] = {directory, pid};

  free(hash_remove(&r->sessions, key, sizeof(key)));
}

/* A message was taken. */
static int received(struct rate *r, const struct log_facts *facts, bool relay)
{
  struct rate_name *tenant = name(&r->tenants, log_facts_get(facts, "tenant"));

  if (!tenant) {
    return -1;
  }
  tenant->recv++;
  r->now.relay += relay;
  r->now.inbound += !relay;
  return 0;
}

/* A worker's word about an attempt is the site's; relay-queue's results are the totals. */
static int delivered(struct rate *r, const struct log_entry *entry, const struct log_facts *facts)
{
  struct rate_session *s = session(r, entry->directory, entry->line.pid, false);
  struct log_text host = log_facts_get(facts, "host");
  struct rate_name *site =
    name(&r->sites, s && *s->site ? (struct log_text){s->site, strlen(s->site)} : host);

  if (!site) {
    return -1;
  }
  site->sent += (uint64_t)log_facts_number(facts, "delivered", 0);
  site->deferred += (uint64_t)log_facts_number(facts, "deferred", 0);
  site->failed += (uint64_t)log_facts_number(facts, "failed", 0);
  return 0;
}

static void result(struct rate *r, const struct log_facts *facts)
{
  struct log_text verdict = log_facts_get(facts, "verdict");
  bool again = log_facts_number(facts, "attempts", 1) > 1;

  if (log_text_is(verdict, "delivered")) {
    r->now.first += !again;
    r->now.retried += again;
  } else if (log_text_is(verdict, "deferred")) {
    r->now.deferred++;
  } else if (log_text_is(verdict, "failed")) {
    r->now.failed++;
  }
}

static int connected(struct rate *r, const struct log_entry *entry, const struct log_facts *facts)
{
  struct log_text worker = log_facts_get(facts, "worker");
  uint32_t pid = worker.s ? (uint32_t)log_facts_number(facts, "worker", 0) : entry->line.pid;
  struct rate_session *s;

  if (!worker.s && !log_facts_get(facts, "client").s) {
    return 0;
  }
  s = session(r, entry->directory, pid, true);
  if (!s) {
    return -1;
  }
  s->relay = log_text_is(log_facts_get(facts, "relay"), "yes");
  copy(s->site, log_facts_get(facts, "site"));
  return 0;
}

int rate_line(struct rate *r, const struct log_entry *entry)
{
  const struct log_line *line = &entry->line;
  struct rate_session *s;
  struct log_facts facts;

  if (line->at) {
    r->first_at = r->first_at ? r->first_at : line->at;
    r->last_at = line->at;
  }
  if (line->direction == 't' && log_text_begins(line->text, "tcpserver: end")) {
    forget_session(r, entry->directory, line->pid);
  }
  if (line->direction != '=') {
    return 0;
  }
  log_facts_parse(line->text, &facts);
  if (log_text_is(facts.word, "connect")) {
    return connected(r, entry, &facts);
  }
  if (log_text_is(facts.word, "accept")) {
    s = session(r, entry->directory, line->pid, false);
    return received(r, &facts, !s || s->relay);
  }
  if (log_text_is(facts.word, "queued") &&
      (log_facts_get(&facts, "dsn-of").s ||
       log_text_begins(log_facts_get(&facts, "tenant"), "local:"))) {
    return received(r, &facts, true); /* no session of a client speaks of these */
  }
  if (log_text_is(facts.word, "result")) {
    result(r, &facts);
  } else if (log_text_is(facts.word, "deliver")) {
    return delivered(r, entry, &facts);
  } else if (log_facts_get(&facts, "relay").s) { /* after AUTH, say */
    s = session(r, entry->directory, line->pid, false);
    if (s) {
      s->relay = log_text_is(log_facts_get(&facts, "relay"), "yes");
    }
  }
  return 0;
}

static void forget_all(struct hash *h)
{
  const void *(*key)(const void *, size_t *) = h->key;
  size_t cursor = 0;
  void *item;

  while ((item = hash_next(h, &cursor))) {
    free(item);
  }
  hash_free(h);
  hash_init(h, key);
}

void rate_next(struct rate *r)
{
  r->total.inbound += r->now.inbound;
  r->total.relay += r->now.relay;
  r->total.first += r->now.first;
  r->total.retried += r->now.retried;
  r->total.deferred += r->now.deferred;
  r->total.failed += r->now.failed;
  r->now = (struct rate_counts){0};
  r->first_at = r->last_at = 0;
  forget_all(&r->tenants);
  forget_all(&r->sites);
}

void rate_free(struct rate *r)
{
  forget_all(&r->sessions);
  forget_all(&r->tenants);
  forget_all(&r->sites);
}
