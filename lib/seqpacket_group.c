/*
 * Apart from seqpacket.c because of getgrnam(): linked statically, as
 * relay-smtpd is, it wants glibc's shared libraries when it runs.
 */
#include "seqpacket.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

int seqpacket_listen_group(const char *path, int backlog, const char *group)
{
  const struct group *g = NULL;
  int fd;

  if (geteuid() == 0) {
    errno = 0;
    g = getgrnam(group);
    if (!g) {
      errno = errno ? errno : ENOENT;
      return -1;
    }
  }
  fd = seqpacket_listen(path, backlog, 0660);
  if (fd != -1 && g && chown(path, 0, g->gr_gid) == -1) {
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
  }
  return fd;
}
