#include "keyd_sessions.h"

#include "tls_engine.h"

#include <stdlib.h>
#include <string.h>

struct keyd_entry {
  struct keyd_session session;
  int64_t expires;
  struct keyd_entry *newer, *older;
};

static const void *entry_key(const void *item, size_t *len)
{
  const struct keyd_entry *e = item;

  *len = sizeof e->session.id;
  return e->session.id;
}

int keyd_sessions_init(struct keyd_sessions *s, size_t max)
{
  *s = (struct keyd_sessions){.max = max};
  hash_init(&s->by_id, entry_key);
  s->entries = calloc(max ? max : 1, sizeof *s->entries); /* pages come as they are used */
  return s->entries ? 0 : -1;
}

void keyd_sessions_free(struct keyd_sessions *s)
{
  tls_wipe(s->entries, s->count * sizeof *s->entries);
  free(s->entries);
  hash_free(&s->by_id);
  *s = (struct keyd_sessions){.max = 0};
}

static void unlink_entry(struct keyd_sessions *s, struct keyd_entry *e)
{
  *(e->newer ? &e->newer->older : &s->newest) = e->older;
  *(e->older ? &e->older->newer : &s->oldest) = e->newer;
}

static void link_newest(struct keyd_sessions *s, struct keyd_entry *e)
{
  e->newer = NULL;
  e->older = s->newest;
  *(s->newest ? &s->newest->newer : &s->oldest) = e;
  s->newest = e;
}

/* A place for one more: fresh, or the oldest one's. */
static struct keyd_entry *take_place(struct keyd_sessions *s)
{
  struct keyd_entry *e;

  if (s->count < s->max) {
    return &s->entries[s->count++];
  }
  e = s->oldest;
  if (e) {
    unlink_entry(s, e);
    if (hash_find(&s->by_id, e->session.id, sizeof e->session.id) == e) {
      hash_remove(&s->by_id, e->session.id, sizeof e->session.id);
    }
  }
  return e;
}

bool keyd_sessions_expire(struct keyd_sessions *s, int64_t now)
{
  bool left = false;

  for (size_t i = 0; i < s->count; i++) {
    if (s->entries[i].expires <= now) {
      tls_wipe(s->entries[i].session.secret, sizeof s->entries[i].session.secret);
    } else {
      left = true;
    }
  }
  return left;
}

void keyd_sessions_save(struct keyd_sessions *s, const struct keyd_session *session, int64_t now)
{
  struct keyd_entry *e;

  if (hash_find(&s->by_id, session->id, sizeof session->id)) {
    return; /* ids are 32 random bytes: this is nobody's honest mistake */
  }
  e = take_place(s);
  if (!e) {
    return;
  }
  e->session = *session;
  e->expires = now + KEYD_SESSION_LIFETIME_MS;
  link_newest(s, e);
  if (hash_insert(&s->by_id, e) < 0) {
    tls_wipe(&e->session, sizeof e->session); /* out of memory: it waits for its turn, unfindable */
  }
}

bool keyd_sessions_load(struct keyd_sessions *s, struct keyd_session *session, int64_t now)
{
  struct keyd_entry *e = hash_find(&s->by_id, session->id, sizeof session->id);

  if (!e || e->expires <= now) {
    if (e) {
      tls_wipe(e->session.secret, sizeof e->session.secret);
    }
    return false;
  }
  unlink_entry(s, e);
  link_newest(s, e);
  *session = e->session;
  return true;
}
