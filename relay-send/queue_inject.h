#ifndef QUEUE_INJECT_H
#define QUEUE_INJECT_H

#include "queue_submission.h"

/*
 * What a local user says about himself is not believed: tenant, client and
 * policy are set here, and a Received line naming the uid goes before the
 * content. Both are pure; they may run in the disk thread.
 */
void inject_cleanse(struct envelope *e, uid_t uid);
int inject_received(struct buf *b, const struct envelope *e, const char *me, uid_t uid);

/* The memfd is sealed: puts a new one in its place. 0, or -1 with errno (EINVAL: no envelope). */
int inject_rewrite(struct submission *s);

#endif
