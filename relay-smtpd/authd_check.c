#include "authd_check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FD_INPUT 3
#define STATUS_EXEC 111

static void set_environment(const struct ip *client)
{
  const char *path = getenv("PATH");
  char keep[4096], text[IP_TEXT_SIZE];

  snprintf(keep, sizeof keep, "%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
  clearenv();
  setenv("PATH", keep, 1);
  setenv("PROTO", "SMTP", 1);
  if (client->family) {
    ip_format(client, text);
    setenv("TCPREMOTEIP", text, 1);
  }
}

/* The child. */
static void become(char **argv, const struct ip *client, int input, pid_t parent)
{
  sigset_t none;
  int null = open("/dev/null", O_RDWR);

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  setpgid(0, 0);
  set_environment(client);
  /* Nobody waits for it when relay-authd is gone, nor would end it when its time is over. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent) {
    _exit(STATUS_EXEC);
  }
  if (null == -1 || dup2(null, 0) == -1 || dup2(null, 1) == -1 || dup2(input, FD_INPUT) == -1 ||
      fcntl(FD_INPUT, F_SETFD, 0) == -1 || close_range(FD_INPUT + 1, ~0U, 0) == -1) {
    _exit(STATUS_EXEC);
  }
  execvp(argv[0], argv);
  dprintf(2, "relay-authd: warning: unable to run %s: %s\n", argv[0], strerror(errno));
  _exit(STATUS_EXEC);
}

pid_t authd_check_start(char **argv, const struct authd_ask *ask)
{
  int fds[2], saved;
  pid_t parent = getpid(), pid = -1;

  if (pipe2(fds, O_CLOEXEC) == -1) {
    return -1;
  }
  /* Less than PIPE_BUF: an empty pipe takes it at once, whole. */
  if (write(fds[1], ask->input, ask->len) == (ssize_t)ask->len) {
    pid = fork();
  }
  if (pid == 0) {
    become(argv, &ask->client, fds[0], parent);
  }
  if (pid > 0) {
    setpgid(pid, pid); /* whoever of the two comes first; kill() must find the group */
  }
  saved = errno;
  close(fds[0]);
  close(fds[1]);
  errno = saved;
  return pid;
}
