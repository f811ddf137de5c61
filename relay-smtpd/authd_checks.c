#include "authd_checks.h"

#include "authd_check.h"
#include "clock.h"
#include "exits.h"
#include "report.h"
#include "seqpacket.h"
#include "tls_engine.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TELL_MS 5000 /* the server reads all the time; one that does not is hung */
#define LAST_LOOKS 100
#define LOOK_NS 10000000L

enum state { FREE, RUNNING, KILLED, RESTING };

struct check {
  enum state state;
  pid_t pid;
  int64_t until; /* the state ends */
  struct authd_told told;
};

static struct {
  char **argv;
  int channel, signals;
  pid_t server; /* 0: has died */
  struct check *checks;
  unsigned max, taken;
  int64_t now;
  bool gone; /* the server's end of the channel */
  bool over;
  int status; /* to exit with, when it is over */
} r;

static void end(int status)
{
  if (!r.over) {
    r.over = true;
    r.status = status;
  }
}

static void tell(struct check *c)
{
  if (!r.gone && seqpacket_send_by(r.channel, &c->told, sizeof c->told, -1, r.now + TELL_MS) < 0) {
    r.gone = errno == EPIPE || errno == ECONNRESET;
    if (!r.gone) {
      report_fatal_errno("unable to answer the server");
      end(EXIT_TEMPORARY);
    }
  }
  c->state = FREE;
  r.taken--;
}

/* --- processes */

static void start(const struct authd_ask *ask)
{
  struct check *c = r.checks;

  while (c->state != FREE) { /* there is one: nothing is read before */
    c++;
  }
  r.taken++;
  c->pid = authd_check_start(r.argv, ask);
  c->state = RUNNING;
  c->until = r.now + AUTHD_RUN_MS;
  c->told = (struct authd_told){.number = ask->number};
  if (c->pid == -1) {
    c->told.outcome = AUTHD_NOT_STARTED;
    c->told.status = errno;
    tell(c);
  }
}

static void ended(struct check *c, int status)
{
  c->told.outcome = c->state == KILLED ? AUTHD_LATE : AUTHD_ENDED;
  c->told.status = status;
  if (status == 0 && c->state == RUNNING) {
    tell(c);
  } else {
    c->state = RESTING;
    c->until = r.now + AUTHD_REST_MS;
  }
}

static void reap(void)
{
  int status;
  pid_t pid;

  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == r.server) {
      report_fatal("the server has died, status %d", status);
      r.server = 0;
      end(EXIT_TEMPORARY);
    }
    for (unsigned i = 0; i < r.max; i++) {
      struct check *c = &r.checks[i];

      if (c->pid == pid && (c->state == RUNNING || c->state == KILLED)) {
        ended(c, status);
      }
    }
  }
}

/* What is due. Returns when the next thing is. */
static int64_t walk(void)
{
  int64_t next = INT64_MAX;

  for (unsigned i = 0; i < r.max; i++) {
    struct check *c = &r.checks[i];

    if (c->state == RUNNING && c->until <= r.now) {
      kill(-c->pid, SIGKILL);
      c->state = KILLED;
      c->until = INT64_MAX;
    } else if (c->state == RESTING && c->until <= r.now) {
      tell(c);
    }
    if (c->state != FREE && c->until < next) {
      next = c->until;
    }
  }
  return next;
}

/* --- the server */

/* Its last socket is closed a moment before it can be waited for, and why it died is worth a line.
 */
static void say_why_gone(void)
{
  const struct timespec pause = {.tv_nsec = LOOK_NS};

  for (int i = 0; i < LAST_LOOKS && !r.over; i++) {
    nanosleep(&pause, NULL);
    reap();
  }
  if (!r.over) {
    report_fatal("the server has closed its channel");
    end(EXIT_TEMPORARY);
  }
}

static void take(void)
{
  struct authd_ask ask;
  ssize_t len = seqpacket_recv(r.channel, &ask, sizeof ask, NULL);

  if (len == 0) {
    r.gone = true;
  } else if (!authd_ask_valid(&ask, len)) {
    report_fatal("garbled request from the server");
    end(EXIT_TEMPORARY);
  } else {
    start(&ask);
  }
  tls_wipe(&ask, sizeof ask);
}

static void signalled(void)
{
  struct signalfd_siginfo info;

  while (read(r.signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGTERM) {
      end(EXIT_OK);
    }
  }
  reap();
}

static void turn(void)
{
  struct pollfd fds[] = {{.fd = r.signals, .events = POLLIN}, {.fd = r.channel}};
  int64_t next;

  r.now = clock_monotonic_ms();
  next = walk();
  fds[1].events = r.taken < r.max ? POLLIN : 0;
  if (poll(fds, 2,
           next == INT64_MAX ? -1
           : next > r.now    ? (int)(next - r.now)
                             : 0) < 0 &&
      errno != EINTR) {
    report_fatal_errno("unable to wait for events");
    end(EXIT_TEMPORARY);
    return;
  }
  r.now = clock_monotonic_ms();
  if (fds[0].revents) {
    signalled();
  } else if (fds[1].revents & (POLLHUP | POLLERR)) { /* what it still had to ask nobody waits for */
    r.gone = true;
  } else if (fds[1].revents) {
    take();
  }
  if (r.gone) {
    say_why_gone();
  }
}

static void end_all(void)
{
  for (unsigned i = 0; i < r.max; i++) {
    if (r.checks[i].state == RUNNING) {
      kill(-r.checks[i].pid, SIGKILL);
    }
  }
  if (r.server) {
    kill(r.server, SIGKILL); /* it may have been told otherwise */
  }
}

int authd_checks(int channel, pid_t server, char **argv, unsigned max)
{
  sigset_t signals;

  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  r.argv = argv;
  r.channel = channel;
  r.server = server;
  r.max = max;
  r.checks = calloc(max, sizeof *r.checks);
  r.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (!r.checks || r.signals == -1) {
    report_fatal_errno("unable to prepare for checks");
    end(EXIT_TEMPORARY);
  }
  while (!r.over) {
    turn();
  }
  if (r.checks) {
    end_all();
  }
  free(r.checks);
  return r.status;
}
