#include "drop.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int drop_lookup(const char *user, uid_t *uid, gid_t *gid)
{
  const struct passwd *entry;

  errno = 0;
  entry = getpwnam(user);
  if (!entry) {
    /* getpwnam(3): these all mean "not found", by the library's mood. */
    if (errno == 0 || errno == ESRCH || errno == EBADF || errno == EPERM) {
      errno = ENOENT;
    }
    return -1;
  }
  *uid = entry->pw_uid;
  *gid = entry->pw_gid;
  return 0;
}

/* True if every id is the new one and root cannot be had back. */
static int is_dropped(uid_t uid, gid_t gid)
{
  uid_t real_uid, effective_uid, saved_uid;
  gid_t real_gid, effective_gid, saved_gid;

  if (getresuid(&real_uid, &effective_uid, &saved_uid) == -1 ||
      getresgid(&real_gid, &effective_gid, &saved_gid) == -1) {
    return 0;
  }
  return real_uid == uid && effective_uid == uid && saved_uid == uid && real_gid == gid &&
         effective_gid == gid && saved_gid == gid && getgroups(0, NULL) == 0 && setuid(0) == -1 &&
         seteuid(0) == -1;
}

int drop_to(uid_t uid, gid_t gid)
{
  if (geteuid() == 0) {
    if (uid == 0) {
      errno = EINVAL;
      return -1;
    }
    /* In this order: after the uid is gone the groups cannot be changed any more. */
    if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
        setresuid(uid, uid, uid) == -1) {
      return -1;
    }
    if (!is_dropped(uid, gid)) {
      errno = EPERM;
      return -1;
    }
  }
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int drop_hide(void)
{
  const struct rlimit none = {0, 0};

  if (setrlimit(RLIMIT_CORE, &none) == -1) {
    return -1;
  }
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

long drop_raise_nofile(void)
{
  struct rlimit limit;
  rlim_t soft;

  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) {
    return -1;
  }
  soft = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (soft != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == -1) {
    limit.rlim_cur = soft;
  }
  return limit.rlim_cur > LONG_MAX ? LONG_MAX : (long)limit.rlim_cur;
}
