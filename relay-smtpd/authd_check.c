#include "authd_check.h"

#include "ip.h"
#include "tls_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD_INPUT 3
#define STATUS_EXEC 111

struct input {
  size_t len;
  bool overflow;
  char bytes[AUTHD_INPUT_MAX];
};

static void put(struct input *in, const char *s)
{
  size_t size = strlen(s) + 1;

  if (size > sizeof in->bytes - in->len) {
    in->overflow = true;
    return;
  }
  memcpy(in->bytes + in->len, s, size);
  in->len += size;
}

static void fill(struct input *in, const struct authd_request *q, bool response_first)
{
  in->len = 0;
  in->overflow = false;
  put(in, q->user);
  if (q->verb == 'P') {
    put(in, q->password);
    put(in, "");
  } else {
    put(in, response_first ? q->response : q->challenge);
    put(in, response_first ? q->challenge : q->response);
  }
}

/* A client's address is told only if it is one: it comes from relay-smtpd. */
static void set_environment(const struct authd_request *q)
{
  const char *path = getenv("PATH");
  char keep[4096];
  struct ip ip;

  snprintf(keep, sizeof keep, "%s", path ? path : "/usr/local/bin:/usr/bin:/bin");
  clearenv();
  setenv("PATH", keep, 1);
  setenv("PROTO", "SMTP", 1);
  if (ip_parse(q->client, strlen(q->client), &ip) == 0) {
    setenv("TCPREMOTEIP", q->client, 1);
  }
}

/* The child. */
static void become(char **argv, const struct authd_request *q, int input, pid_t parent)
{
  sigset_t none;
  int null = open("/dev/null", O_RDWR);

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  setpgid(0, 0);
  set_environment(q);
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

pid_t authd_check_start(char **argv, const struct authd_request *q, bool response_first)
{
  struct input in;
  int fds[2], saved;
  pid_t parent = getpid(), pid = -1;

  fill(&in, q, response_first);
  if (in.overflow) {
    tls_wipe(&in, sizeof in);
    errno = EMSGSIZE;
    return -1;
  }
  if (pipe2(fds, O_CLOEXEC) == -1) {
    tls_wipe(&in, sizeof in);
    return -1;
  }
  /* Less than PIPE_BUF: an empty pipe takes it at once, whole. */
  if (write(fds[1], in.bytes, in.len) == (ssize_t)in.len) {
    pid = fork();
  }
  tls_wipe(&in, sizeof in);
  if (pid == 0) {
    become(argv, q, fds[0], parent);
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

enum authd_result authd_check_result(int status)
{
  if (!WIFEXITED(status)) {
    return AUTHD_UNKNOWN;
  }
  return WEXITSTATUS(status) == 0   ? AUTHD_GOOD
         : WEXITSTATUS(status) == 1 ? AUTHD_BAD
                                    : AUTHD_UNKNOWN;
}
