#include "drop.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs f in a child; its status, 0 when all was as it should be. */
static int in_child(int (*f)(void))
{
  int status;
  pid_t pid = fork();

  if (pid == 0) {
    _exit(f());
  }
  return waitpid(pid, &status, 0) == pid ? status : -1;
}

static uid_t nobody_uid;
static gid_t nobody_gid;

static int drops_for_good(void)
{
  if (drop_to(nobody_uid, nobody_gid) == -1) {
    return 1;
  }
  if (getuid() != nobody_uid || geteuid() != nobody_uid || getgid() != nobody_gid ||
      getgroups(0, NULL) != 0) {
    return 2;
  }
  if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0) {
    return 3;
  }
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static int drops_without_root(void)
{
  uid_t before;

  if (geteuid() == 0 && setresuid(nobody_uid, nobody_uid, nobody_uid) == -1) {
    return 1;
  }
  before = getuid();
  if (drop_to(before + 1, 12345) == -1 || getuid() != before) {
    return 2;
  }
  return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
}

static int refuses_root(void)
{
  return drop_to(0, 0) == -1 && errno == EINVAL ? 0 : 1;
}

/* A sibling under the same uid cannot open the fds or memory of one that hides. */
static int hides(void)
{
  char path[64];
  int ready[2];
  struct rlimit core;
  pid_t pid;
  char c;
  int fd;

  if ((geteuid() == 0 && drop_to(nobody_uid, nobody_gid) == -1) || pipe(ready) == -1) {
    return 1;
  }
  pid = fork();
  if (pid == 0) {
    if (drop_hide() == -1 || getrlimit(RLIMIT_CORE, &core) == -1 || core.rlim_max != 0) {
      _exit(1);
    }
    c = write(ready[1], "x", 1) == 1 ? 0 : 1;
    sleep(20);
    _exit(c);
  }
  close(ready[1]);
  if (read(ready[0], &c, 1) != 1) {
    return 2;
  }
  snprintf(path, sizeof(path), "/proc/%ld/mem", (long)pid);
  fd = open(path, O_RDONLY);
  snprintf(path, sizeof(path), "/proc/%ld/fd/0", (long)pid);
  if (fd != -1 || open(path, O_RDONLY) != -1 || errno != EACCES) {
    fd = 3;
  } else {
    fd = 0;
  }
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  return fd;
}

int main(void)
{
  struct rlimit limit, now;
  uid_t uid = 1;
  gid_t gid = 1;

  CHECK_INT(drop_lookup("root", &uid, &gid), 0);
  CHECK(uid == 0 && gid == 0);
  CHECK_INT(drop_lookup("no-such-user-here", &uid, &gid), -1);
  CHECK_INT(errno, ENOENT);
  CHECK_INT(drop_lookup("nobody", &nobody_uid, &nobody_gid), 0);

  CHECK_INT(in_child(drops_without_root), 0);
  CHECK_INT(in_child(hides), 0);
  if (geteuid() == 0) {
    CHECK_INT(in_child(drops_for_good), 0);
    CHECK_INT(in_child(refuses_root), 0);
  }

  CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = 64;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  CHECK_INT(drop_raise_nofile(), limit.rlim_max);
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &now), 0);
  CHECK(now.rlim_cur == limit.rlim_max);
  return check_done("drop");
}
