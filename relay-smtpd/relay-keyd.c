/*
 * relay-keyd: holds the private keys of TLS and signs handshakes for
 * relay-smtpd, so that no key is in a process that parses bytes from the
 * network.
 *
 * Two processes. The first, root, opens what control/servercert lists, reads
 * none of it, and speaks to nobody; it waits for signals: HUP starts a server
 * with the files as they are now, and if that one is content retires the old
 * one, whose connections end in peace. The server, relayk, has listening
 * socket (run/keyd), keys and the sessions that may be resumed, and cannot
 * open a file; it trusts none of those who ask. fd 2 is the log; 0 and 1 are
 * not used.
 */
#include "keyd_serve.h"

#include "confine.h"
#include "control.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "report.h"
#include "seqpacket.h"
#include "users.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS_DEFAULT 20000
#define SESSIONS_MAX 10000000

static int listener = -1;

static void die_errno(const char *what)
{
  report_fatal_errno("unable to %s", what);
  _exit(EXIT_TEMPORARY);
}

/* At the start nothing works without the keys; later the old ones do. */
static void complain(const char *why, bool starting)
{
  if (starting) {
    report_fatal("%s", why);
  } else {
    report_warning("the old keys stay: %s", why);
  }
}

static void announce(const struct keyd_keys *keys, const struct keyd_lines *lines)
{
  for (size_t i = 0; i < keys->count; i++) {
    const struct keyd_key *k = keys->keys[i];

    report_info("%s: %s%s%s", lines->lines[i].chain.name,
                k->kind == KEYD_RSA    ? "RSA"
                : k->kind == KEYD_P256 ? "ECDSA P-256"
                                       : "ECDSA P-384",
                k->name_count ? " for " : ", for all names", k->name_count ? k->names[0] : "");
  }
}

static void give_up_root(pid_t parent)
{
  uid_t uid = geteuid();
  gid_t gid = getegid();

  if (uid == 0 && drop_lookup(USER_KEYD, &uid, &gid) < 0) {
    report_fatal("no user %s (conf-users): make install creates it", USER_KEYD);
    _exit(EXIT_PERMANENT);
  }
  if (drop_to(uid, gid) < 0 || drop_hide() < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
    die_errno("give up root");
  }
  if (getppid() != parent) {
    _exit(EXIT_TEMPORARY);
  }
}

/* The child. Says "+" to its parent when it has the keys. */
static void serve(struct keyd_lines *lines, uint64_t session_max, int ready, pid_t parent,
                  bool starting)
{
  static struct keyd_keys keys;
  static struct keyd_sessions sessions;
  int status;

  give_up_root(parent);
  if (keyd_keys_load(&keys, lines) < 0) {
    complain(keyd_keys_error(), starting);
    _exit(EXIT_PERMANENT);
  }
  announce(&keys, lines);
  keyd_lines_close(lines);
  if (keyd_sessions_init(&sessions, (size_t)session_max) < 0) {
    die_errno("have memory for sessions");
  }
  if (confine_serve() < 0) {
    die_errno("give up privileges");
  }
  if (write(ready, "+", 1) != 1) {
    die_errno("tell the parent");
  }
  close(ready);
  status = keyd_serve(listener, &keys, &sessions);
  keyd_keys_free(&keys);
  keyd_sessions_free(&sessions);
  _exit(status);
}

static int load_settings(struct keyd_lines *lines, uint64_t *session_max, bool starting)
{
  enum control_result result = control_u64("tlssessions", 0, SESSIONS_MAX, session_max);

  if (result != CONTROL_OK && result != CONTROL_MISSING) {
    complain(control_error(), starting);
    *lines = (struct keyd_lines){.count = 0};
    return -1;
  }
  if (keyd_lines_open(lines) < 0) {
    complain(keyd_keys_error(), starting);
    return -1;
  }
  return 0;
}

/* A server that has its keys, or -1 having said why; *status is then the exit status. */
static pid_t start_server(bool starting, int *status)
{
  uint64_t session_max = SESSIONS_DEFAULT;
  struct keyd_lines lines;
  pid_t parent = getpid(), pid = -1;
  int ready[2];
  char plus;

  *status = EXIT_PERMANENT;
  if (load_settings(&lines, &session_max, starting) < 0) {
    goto cleanup;
  }
  *status = EXIT_TEMPORARY;
  if (pipe(ready) < 0) {
    complain(strerror(errno), starting);
    goto cleanup;
  }
  pid = fork();
  if (pid == 0) {
    close(ready[0]);
    serve(&lines, session_max, ready[1], parent, starting);
  }
  close(ready[1]);
  if (pid < 0) {
    complain(strerror(errno), starting);
  } else if (io_read(ready[0], &plus, 1, IO_FOREVER) != 1) {
    waitpid(pid, status, 0);
    *status = WIFEXITED(*status) ? WEXITSTATUS(*status) : EXIT_TEMPORARY;
    pid = -1;
  }
  close(ready[0]);

cleanup:
  keyd_lines_close(&lines);
  return pid;
}

/* Until TERM, or the server's death. Returns the exit status. */
static int watch(pid_t server, const sigset_t *signals)
{
  int number, status;
  pid_t pid;

  for (;;) {
    number = sigwaitinfo(signals, NULL);
    if (number == SIGHUP) {
      pid = start_server(false, &status);
      if (pid > 0) {
        kill(server, SIGTERM);
        server = pid;
      }
    } else if (number == SIGTERM) {
      kill(server, SIGTERM);
      return EXIT_OK;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == server) {
        report_fatal("the server has died, status %d", status);
        return EXIT_TEMPORARY;
      }
    }
  }
}

static const char usage[] =
  "usage: relay-keyd [-d DIR]\n"
  "Holds the private keys of TLS for relay-smtpd, at run/keyd. Run as root by\n"
  "supervise, see relay-conf(8).\n"
  "  -d DIR  the relay's directory, with control/servercert\n";

static void prepare(int argc, char **argv)
{
  const char *directory = NULL;
  int status = home_options(argc, argv, usage, &directory);

  if (status != -1) {
    exit(status);
  }
  if (close_range(3, ~0U, 0) < 0 || io_reserve_standard_fds() < 0) {
    die_errno("close what the parent left open");
  }
  if (home_enter(directory) < 0) {
    die_errno(directory ? directory : home_default);
  }
  umask(077);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  drop_raise_nofile();
  drop_hide();
}

int main(int argc, char **argv)
{
  sigset_t signals;
  pid_t server;
  int status;

  report_program("relay-keyd");
  prepare(argc, argv);
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  listener = seqpacket_listen_group(KEYD_PATH, SOMAXCONN, GROUP_SMTPD);
  if (listener < 0) {
    die_errno("listen at " KEYD_PATH);
  }
  server = start_server(true, &status);
  return server < 0 ? status : watch(server, &signals);
}
