#include "writer.h"

#include "exits.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 18) /* bytes, if the kernel grants them: fewer wake-ups in a burst */

static void on_child(int signal_number)
{
  (void)signal_number; /* ends a wait */
}

static void restore_signals(void)
{
  sigset_t none;

  sigemptyset(&none);
  for (int n = 1; n < NSIG; n++) {
    signal(n, SIG_DFL); /* fails for some, which nobody has changed */
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static pid_t start(int in, char *const *command)
{
  pid_t pid = fork();

  if (pid != 0) {
    return pid;
  }
  restore_signals();
  if (dup2(in, 0) == 0) {
    execvp(command[0], command);
  }
  report_fatal_errno("unable to run %s", command[0]);
  _exit(EXIT_TEMPORARY);
}

/* 0 when it is said that no more follows, else 1. */
static int obey(int control, pid_t pid)
{
  char orders[64];
  ssize_t n = read(control, orders, sizeof orders);

  if (n > 0) {
    kill(pid, SIGALRM);
  }
  return n != 0;
}

/* How the writer ended: what the keeper exits with. */
static int judge(const char *name, int status, bool expected)
{
  const char *when = expected ? "" : " while there was more to write";

  if (WIFSIGNALED(status)) {
    report_fatal("%s was killed by signal %d%s", name, WTERMSIG(status), when);
  } else if (WEXITSTATUS(status) != 0 || !expected) {
    report_fatal("%s ended with status %d%s", name, WEXITSTATUS(status), when);
  } else {
    return EXIT_OK;
  }
  return EXIT_TEMPORARY;
}

static _Noreturn void keep(int control, int in, char *const *command)
{
  struct sigaction action = {.sa_handler = on_child};
  struct pollfd p = {.fd = control, .events = POLLIN};
  sigset_t child, before;
  int status, more = 1;
  pid_t pid;

  close(0); /* the log is relay-log's */
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &before);
  sigdelset(&before, SIGCHLD);
  sigaction(SIGCHLD, &action, NULL);
  /* Who stops a whole process group means relay-log: the writer ends when its input does. */
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGALRM, SIG_IGN);
  pid = start(in, command);
  if (pid == -1) {
    report_fatal_errno("unable to fork");
    _exit(EXIT_TEMPORARY);
  }
  close(in);
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (more && ppoll(&p, 1, NULL, &before) == 1) {
      more = obey(control, pid);
    } else if (!more) {
      ppoll(NULL, 0, NULL, &before);
    }
  }
  /* relay-log closes this pipe before the writer's. */
  while (more && poll(&p, 1, 0) == 1) {
    more = obey(control, pid);
  }
  _exit(judge(command[0], status, !more));
}

int writer_start(struct writer *w, char *const *command)
{
  int data[2], control[2];

  if (pipe2(data, O_CLOEXEC) == -1) {
    return -1;
  }
  if (pipe2(control, O_CLOEXEC) == -1) {
    close(data[0]);
    close(data[1]);
    return -1;
  }
  (void)fcntl(data[1], F_SETPIPE_SZ, PIPE_SIZE);
  w->keeper = fork();
  if (w->keeper == 0) {
    close(data[1]);
    close(control[1]);
    keep(control[0], data[0], command);
  }
  close(data[0]);
  close(control[0]);
  w->fd = data[1];
  w->control = control[1];
  return w->keeper == -1 ? -1 : 0;
}

void writer_alarm(struct writer *w)
{
  (void)!write(w->control, "A", 1);
}

bool writer_gone(struct writer *w)
{
  return waitpid(w->keeper, NULL, WNOHANG) == w->keeper;
}

int writer_finish(struct writer *w)
{
  int status;
  pid_t pid;

  close(w->control);
  close(w->fd);
  do {
    pid = waitpid(w->keeper, &status, 0);
  } while (pid == -1 && errno == EINTR);
  return pid == w->keeper && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
