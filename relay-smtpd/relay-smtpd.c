/*
 * relay-smtpd: one SMTP session with one client, started by tcpserver.
 *
 * Runs as relayd. Trusts nobody on fd 0 and 1 (the client; a socket, or pipes
 * under recordio), and relay-queue on run/intake only for its verdicts. fd 2
 * is the log. Has nothing else open when it reads the client's first byte:
 * control files and lists are read or mapped before, so that open() can be
 * given up. A message is in a memfd, or in a file that relay-queue opened.
 */
#include "dialogue.h"

#include "clock.h"
#include "confine.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "report.h"
#include "users.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOODBYE_MS 10000

static struct dialogue session;
static struct rules rules;

/* The client hears that it may come again; the log says why. */
static int refuse(void)
{
  static const char reply[] = "421 4.3.5 relay is misconfigured, try again later\r\n";

  io_write_all(1, reply, sizeof reply - 1, clock_monotonic_ms() + GOODBYE_MS);
  return EXIT_TEMPORARY;
}

/* tcpserver -u has done it; but nobody is served as root because a run script forgot. */
static int leave_root(void)
{
  uid_t uid;
  gid_t gid;

  if (geteuid() != 0) {
    return 0;
  }
  return drop_lookup(USER_SMTPD, &uid, &gid) < 0 ? -1 : drop_to(uid, gid);
}

static const char usage[] =
  "usage: tcpserver ... ADDRESS PORT relay-smtpd [-d DIR]\n"
  "One SMTP session on fds 0 and 1. tcprules says what the client may (relay-smtpd(8)).\n";

int main(int argc, char **argv)
{
  const char *directory = NULL;
  int yes = 1, status;

  report_program("relay-smtpd");
  status = home_options(argc, argv, usage, &directory);
  if (status != -1) {
    return status;
  }
  signal(SIGPIPE, SIG_IGN);
  if (io_reserve_standard_fds() < 0 || home_enter(directory) < 0) {
    report_fatal_errno("unable to enter %s", directory ? directory : home_default);
    return refuse();
  }
  if (rules_load(&rules) < 0) {
    report_fatal("%s", rules_error());
    return refuse();
  }
  if (leave_root() < 0 || drop_hide() < 0) {
    report_fatal_errno("unable to give up privileges");
    return refuse();
  }
  dialogue_init(&session, &rules);
  if (!rules.denied) {
    hatch_knock(&session.hatch); /* relay-queue answers while the filter is installed */
  }
  if (confine_network() < 0) {
    report_fatal_errno("unable to give up privileges");
    return refuse();
  }
  /* Fails on pipes (ENOTSOCK), where there is no Nagle algorithm either. */
  setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  dialogue_run(&session);
  return EXIT_OK;
}
