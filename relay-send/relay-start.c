/*
 * relay-start: makes the sockets between the programs of relay's sending half,
 * starts each under its own uid, then becomes relay-send, so that the signals
 * of svc reach the scheduler (as qmail-start does).
 *
 * Runs as root and keeps nothing: after the last exec no process of it is left.
 * Not as root, everything runs under the caller's uid (for tests), and says so.
 * fd 2 is the log; 0 and 1 are not used.
 */
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "intake.h"
#include "ctl.h"
#include "io.h"
#include "report.h"
#include "seqpacket.h"
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where each program finds its descriptors; the file heads of the programs say the same. */
enum {
  FD_CTL = 3,      /* relay-send: listens */
  FD_INTAKE = 3,   /* relay-queue: listens */
  FD_INJECT = 4,   /* relay-queue: listens */
  FD_DISPATCH = 5, /* relay-queue and relay-send */
  FD_BOUNCE = 6,   /* relay-queue and relay-bounce */
  FD_WORK = 7,     /* relay-send and relay-remote */
  FD_HIGH = 20     /* what is made here stays above, so that dup2 never hits a source */
};

struct passed_fd {
  int from, to;
};

struct program {
  const char *name;
  const char *user;
  int log; /* becomes fd 2 */
  struct passed_fd fds[5]; /* ends with from 0 */
};

static void die_errno(const char *what)
{
  report_fatal_errno("unable to %s", what);
  _exit(EXIT_TEMPORARY);
}

static int raised(int fd, const char *what)
{
  int high = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_HIGH);

  if (high == -1)
    die_errno(what);
  close(fd);
  return high;
}

static void raised_pair(int fds[2], const char *what)
{
  if (seqpacket_pair(fds) == -1)
    die_errno(what);
  fds[0] = raised(fds[0], what);
  fds[1] = raised(fds[1], what);
}

/* Listens at path; with a group, only root and that group may connect. */
static int listener(const char *path, const char *group)
{
  int fd = group ? seqpacket_listen_group(path, SOMAXCONN, group)
                 : seqpacket_listen(path, SOMAXCONN, 0666);

  if (fd == -1 && group && !getgrnam(group)) {
    report_fatal("no group %s (conf-groups): make install creates it", group);
    _exit(EXIT_PERMANENT);
  }
  return raised(fd, path);
}

/*
 * An open file of its own of the log pipe: relay-queue and relay-send must
 * never wait for the log, and O_NONBLOCK on the shared one would reach
 * programs that must. Needs the opener's right to the pipe, hence here.
 */
static int log_reopened(void)
{
  int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);

  if (fd == -1)
    fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  /* A socket cannot be opened again; then the program shares the blocking one. */
  return raised(fd == -1 ? dup(2) : fd, "open the log again");
}

static void become_user(const struct program *program)
{
  uid_t uid;
  gid_t gid;

  if (geteuid() != 0)
    return;
  if (drop_lookup(program->user, &uid, &gid) == -1) {
    report_fatal("no user %s (conf-users): make install creates it", program->user);
    _exit(EXIT_PERMANENT);
  }
  if (drop_to(uid, gid) == -1)
    die_errno("give up root");
}

/* Places the descriptors, drops to the program's user and becomes the program. */
static void become(const struct program *program, const char *bin)
{
  char path[PATH_MAX];
  char *argv[] = {(char *)program->name, NULL};

  if (dup2(program->log, 2) == -1)
    die_errno("place the log");
  for (const struct passed_fd *p = program->fds; p->from; p++)
    if (dup2(p->from, p->to) == -1)
      die_errno("place a descriptor");
  become_user(program);
  snprintf(path, sizeof path, "%s/%s", bin, program->name);
  execv(path, argv);
  report_fatal_errno("unable to run %s as %s", path, program->user);
  _exit(EXIT_TEMPORARY);
}

static void start(const struct program *program, const char *bin)
{
  pid_t pid = fork();

  if (pid == -1)
    die_errno("fork");
  if (pid == 0)
    become(program, bin);
}

/* The programs are found beside this one. */
static void own_directory(char *bin, size_t size)
{
  ssize_t len = readlink("/proc/self/exe", bin, size - 1);

  if (len == -1)
    die_errno("find my own directory");
  bin[len] = '\0';
  *strrchr(bin, '/') = '\0';
}

static const char usage[] =
  "usage: relay-start [-d DIR]\n"
  "Starts relay-queue, relay-bounce and relay-remote, each as its user, and becomes\n"
  "relay-send. Run as root by supervise, see relay-conf(8).\n"
  "  -d DIR  the relay's directory, which holds control/ and queue/\n";

static void prepare(int argc, char **argv)
{
  const char *directory = NULL;
  int status = home_options(argc, argv, usage, &directory);

  if (status != -1) {
    exit(status);
  }
  /* What a parent left open is none of the programs' business, and they would all inherit it. */
  if (close_range(3, ~0U, 0) == -1)
    die_errno("close what the parent left open");
  if (home_enter(directory) == -1)
    die_errno(directory ? directory : home_default);
  if (geteuid() != 0)
    report_info("not root: every program runs under uid %d", (int)geteuid());
  umask(077);
  /* Ignored signals outlive exec: a parent's SIGPIPE or SIGCHLD setting must not. */
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  io_reserve_standard_fds();
  drop_raise_nofile();
}

int main(int argc, char **argv)
{
  char bin[PATH_MAX];
  int dispatch[2], bounce[2], work[2], ctl, intake, inject;

  report_program("relay-start");
  prepare(argc, argv);
  own_directory(bin, sizeof bin);

  intake = listener(INTAKE_PATH, GROUP_SMTPD);
  inject = listener(INJECT_PATH, NULL);
  ctl = listener(CTL_PATH, GROUP_CTL);
  raised_pair(dispatch, "make a socketpair");
  raised_pair(bounce, "make a socketpair");
  raised_pair(work, "make a socketpair");
  const struct program queue = {"relay-queue", USER_QUEUE, log_reopened(),
                                {{intake, FD_INTAKE}, {inject, FD_INJECT},
                                 {dispatch[0], FD_DISPATCH}, {bounce[0], FD_BOUNCE}}};
  const struct program composer = {"relay-bounce", USER_BOUNCE, 2, {{bounce[1], FD_BOUNCE}}};
  const struct program remote = {"relay-remote", USER_REMOTE, 2, {{work[1], FD_WORK}}};
  const struct program scheduler = {"relay-send", USER_SEND, log_reopened(),
                                    {{ctl, FD_CTL}, {dispatch[1], FD_DISPATCH},
                                     {work[0], FD_WORK}}};

  start(&queue, bin);
  start(&composer, bin);
  start(&remote, bin);
  become(&scheduler, bin);
}
