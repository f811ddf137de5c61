#ifndef DROP_H
#define DROP_H

#include <sys/types.h>

/* A user by name, from conf-users. 0, or -1 with errno (ENOENT: no such user). */
int drop_lookup(const char *user, uid_t *uid, gid_t *gid);

/*
 * Gives up root for good: supplementary groups, gid, uid, each verified, then
 * no-new-privs. Does nothing but no-new-privs if the caller is not root. 0, or
 * -1 with errno; the caller must exit then.
 */
int drop_to(uid_t uid, gid_t gid);

/*
 * After every exec and after every fork that changes trust: not dumpable, so
 * that a sibling under the same uid cannot open /proc/PID/mem or /proc/PID/fd
 * nor trace us; no core file.
 */
int drop_hide(void);

/* Raises the soft limit of open files to the hard limit; returns the limit. */
long drop_raise_nofile(void);

#endif
