#ifndef KEYD_SESSIONS_H
#define KEYD_SESSIONS_H

#include "hash.h"
#include "keyd.h"

/*
 * TLS sessions that may be resumed, by their id: a bounded number; the one
 * that was not used for the longest time makes room. One that is too old is
 * wiped within a minute, one that is replaced at once.
 */
#define KEYD_SESSION_LIFETIME_MS (2 * 3600 * 1000LL) /* RFC 5246 F.1.4: at most 24 hours */

struct keyd_entry;

struct keyd_sessions {
  struct hash by_id;
  struct keyd_entry *entries;
  size_t count, max;
  struct keyd_entry *newest, *oldest;
};

int keyd_sessions_init(struct keyd_sessions *s, size_t max); /* 0, or -1: out of memory */
void keyd_sessions_free(struct keyd_sessions *s);

/* now is clock_monotonic_ms(). An id that is there already keeps what it has. */
void keyd_sessions_save(struct keyd_sessions *s, const struct keyd_session *session, int64_t now);
/* False if there is none of session->id, or it is too old; else fills the rest in. */
bool keyd_sessions_load(struct keyd_sessions *s, struct keyd_session *session, int64_t now);

/* Wipes what is too old. True: some are not, and this is to be called again. */
#define KEYD_SESSIONS_LOOK_MS 60000
bool keyd_sessions_expire(struct keyd_sessions *s, int64_t now);

#endif
