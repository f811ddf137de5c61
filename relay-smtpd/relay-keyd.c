/*
 * relay-keyd: holds the private keys of TLS and signs handshakes for
 * relay-smtpd, so that no key is in a process that parses bytes from the
 * network.
 *
 * Two processes. The first, root, reads nothing and speaks to nobody; it waits
 * for signals: HUP starts a server with the files as they are now, and if that
 * one is ready in time retires the old one, whose connections end in peace. The
 * server opens as root what control/servercert lists, becomes relayk, and then
 * reads it; it has listening socket (run/keyd), keys and the sessions that may
 * be resumed, and can open no file any more; it trusts none of those who ask.
 * fd 2 is the log; 0 and 1 are not used.
 */
#include "keyd_serve.h"

#include "clock.h"
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
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSIONS_DEFAULT 20000
#define SESSIONS_MAX 10000000
#define START_MS 10000 /* to have the keys; reading a hundred takes a second */

static int listener = -1;
static char *waiting_for; /* KEYD_FILE_NAME_SIZE bytes that the server writes while it starts */

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

static int load_settings(struct keyd_lines *lines, uint64_t *session_max, bool starting)
{
  enum control_result result = control_u64("tlssessions", 0, SESSIONS_MAX, session_max);

  if (result != CONTROL_OK && result != CONTROL_MISSING) {
    complain(control_error(), starting);
    return -1;
  }
  if (keyd_lines_open(lines) < 0) {
    complain(keyd_keys_error(), starting);
    return -1;
  }
  return 0;
}

/* The child. Says "+" to its parent when it has the keys. */
_Noreturn static void serve(int ready, pid_t parent, bool starting)
{
  static struct keyd_lines lines;
  static struct keyd_keys keys;
  static struct keyd_sessions sessions;
  uint64_t session_max = SESSIONS_DEFAULT;
  int status;

  keyd_keys_tell(waiting_for);
  if (load_settings(&lines, &session_max, starting) < 0) {
    _exit(EXIT_PERMANENT);
  }
  give_up_root(parent);
  if (keyd_keys_load(&keys, &lines) < 0) {
    complain(keyd_keys_error(), starting);
    _exit(EXIT_PERMANENT);
  }
  keyd_keys_tell(NULL);
  munmap(waiting_for, KEYD_FILE_NAME_SIZE);
  announce(&keys, &lines);
  keyd_lines_close(&lines);
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

/* It is not waited for: one that waits for a dead file system may not die before that is back. */
static void give_up(pid_t server, bool starting)
{
  char why[KEYD_FILE_NAME_SIZE + 100];

  kill(server, SIGKILL);
  snprintf(why, sizeof why, "not ready within %d s%s%.*s", START_MS / 1000,
           *waiting_for ? ", waiting for " : "", KEYD_FILE_NAME_SIZE - 1, waiting_for);
  complain(why, starting);
}

/* Waits until the new server is ready. 0, or the exit status; it has said why then. */
static int wait_ready(pid_t server, int ready, bool starting)
{
  char plus;
  int status;
  ssize_t n = io_read(ready, &plus, 1, clock_monotonic_ms() + START_MS);

  if (n == 1) {
    return 0;
  }
  if (n < 0) {
    give_up(server, starting);
    return EXIT_TEMPORARY;
  }
  waitpid(server, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    return WEXITSTATUS(status);
  }
  complain("the new server has died before it was ready", starting);
  return EXIT_TEMPORARY;
}

/* A server that has its keys, or -1 having said why; *status is then the exit status. */
static pid_t start_server(bool starting, int *status)
{
  pid_t parent = getpid(), pid;
  int ready[2];

  *status = EXIT_TEMPORARY;
  if (pipe(ready) < 0) {
    complain(strerror(errno), starting);
    return -1;
  }
  *waiting_for = '\0';
  pid = fork();
  if (pid == 0) {
    close(ready[0]);
    serve(ready[1], parent, starting);
  }
  close(ready[1]);
  if (pid < 0) {
    complain(strerror(errno), starting);
  } else {
    *status = wait_ready(pid, ready[0], starting);
    pid = *status == 0 ? pid : -1;
  }
  close(ready[0]);
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
  waiting_for =
    mmap(NULL, KEYD_FILE_NAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (waiting_for == MAP_FAILED) {
    die_errno("have memory");
  }
  server = start_server(true, &status);
  return server < 0 ? status : watch(server, &signals);
}
