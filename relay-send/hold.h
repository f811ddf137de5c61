#ifndef HOLD_H
#define HOLD_H

#include "message.h"

/*
 * What an operator holds: kind "all", "id", "tenant", "site" or "domain" and a
 * value; a site's may be in upper or lower case. A hold also stops what comes
 * later. Kept as relay-queue's notes, so it outlives a restart.
 */
void hold_start(void);

bool hold_is(const char *kind, const char *value);
bool hold_covers(const struct rcpt *r);
/*
 * All that covers it, for people ("tenant acme, site mx.test"); "" if nothing does. How many: each
 * has to be released by itself.
 */
unsigned hold_describe(const struct rcpt *r, char *out, size_t size);

/* Sets or ends one, and tells relay-queue. False: there was nothing to change. */
bool hold_set(const char *kind, const char *value, bool on);

/* Each hold in turn, "tenant acme", NULL at the end; *cursor is 0 at first. */
const char *hold_next(size_t *cursor);

/* A note at start. */
void hold_note(const char *note, const char *value);
/* At E: the ids among them find their messages. */
void hold_apply_ids(void);

#endif
