/*
 * relay-authd: has user names and passwords checked for relay-smtpd, by any
 * checkpassword-compatible program, so that no password store can be read by
 * a process that parses bytes from the network.
 *
 * Two processes. The first, root, or with -u the user who may read the
 * passwords, runs that program and does nothing else; it takes one struct from
 * the second, of which it believes only the form (authd_ask.h). The second,
 * relaya, has the listening socket (run/authd), what relay-smtpds say, and the
 * delays; it can open no file and start no process. Each ends with the other.
 * fd 2 is the log; 0 and 1 are not used.
 */
#include "authd.h"
#include "authd_checks.h"
#include "authd_serve.h"

#include "confine.h"
#include "control.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "report.h"
#include "seqpacket.h"
#include "users.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKS_DEFAULT 20
#define CHECKS_MAX 1000
#define WORDS_MAX 20 /* of control/checkpassword */

static void die_errno(const char *what)
{
  report_fatal_errno("unable to %s", what);
  _exit(EXIT_TEMPORARY);
}

static void check(enum control_result result)
{
  if (result != CONTROL_OK && result != CONTROL_MISSING) {
    report_fatal("%s", control_error());
    _exit(EXIT_PERMANENT);
  }
}

_Noreturn static void usage(int status)
{
  fputs("usage: relay-authd [-d DIR] [-u USER] [PROGRAM [ARGUMENT ...]]\n"
        "Has passwords checked for relay-smtpd, at run/authd, by PROGRAM, which is\n"
        "checkpassword-compatible (default: control/checkpassword). Run by supervise, see\n"
        "relay-conf(8).\n"
        "  -d DIR   the relay's directory\n"
        "  -u USER  who runs PROGRAM (default: the caller)\n",
        status == EXIT_OK ? stdout : stderr);
  exit(status);
}

/* The program from control/checkpassword: its words, divided by blanks. */
static char **words_of_file(void)
{
  static char line[CONTROL_LINE_MAX + 1], *words[WORDS_MAX + 1];
  size_t n = 0;
  char *word, *rest = line;

  check(control_line("checkpassword", line, sizeof line));
  while ((word = strsep(&rest, " \t"))) {
    if (*word && n == WORDS_MAX) {
      report_fatal("control/checkpassword:1: more than %d words", WORDS_MAX);
      _exit(EXIT_PERMANENT);
    }
    if (*word) {
      words[n++] = word;
    }
  }
  if (n == 0) {
    report_fatal("no program: name one in control/checkpassword, as in relay-authd(8)");
    _exit(EXIT_PERMANENT);
  }
  return words;
}

/* control/authcram says what follows the user's name on fd 3. */
static bool load_cram(void)
{
  char value[20] = "challenge";

  check(control_line("authcram", value, sizeof value));
  if (strcmp(value, "challenge") != 0 && strcmp(value, "response") != 0) {
    report_fatal("control/authcram:1: neither challenge nor response: %s", value);
    _exit(EXIT_PERMANENT);
  }
  return *value == 'r';
}

struct identity {
  uid_t uid;
  gid_t gid;
};

/* Of that user; the caller's own without one. Only root can be another. */
static struct identity look_up(const char *user)
{
  struct identity id = {geteuid(), getegid()};

  if (user && drop_lookup(user, &id.uid, &id.gid) < 0) {
    report_fatal("no user %s", user);
    _exit(EXIT_PERMANENT);
  }
  if (id.uid != geteuid() && geteuid() != 0) {
    report_fatal("only root can have passwords checked as %s", user);
    _exit(EXIT_PERMANENT);
  }
  return id;
}

static struct identity look_up_server(void)
{
  struct identity id = {geteuid(), getegid()};

  if (geteuid() == 0 && drop_lookup(USER_AUTHD, &id.uid, &id.gid) < 0) {
    report_fatal("no user %s (conf-users): make install creates it", USER_AUTHD);
    _exit(EXIT_PERMANENT);
  }
  return id;
}

/* The second process. */
_Noreturn static void serve(int listener, int root, pid_t parent, const struct identity *id,
                            const struct authd_config *config)
{
  sigset_t none;

  if (drop_to(id->uid, id->gid) < 0 || drop_hide() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
      confine_serve() < 0) {
    die_errno("give up privileges");
  }
  if (getppid() != parent) {
    _exit(EXIT_TEMPORARY);
  }
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  _exit(authd_serve(listener, root, config));
}

static void block_signals(void)
{
  sigset_t signals;

  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  sigprocmask(SIG_BLOCK, &signals, NULL);
}

/* Forks the second process and is the first, until the end. */
static int run(char **argv, const char *user, const struct authd_config *config)
{
  struct identity server_id = look_up_server(), own = look_up(user);
  pid_t parent = getpid(), server;
  int listener, pair[2];

  listener = seqpacket_listen_group(AUTHD_PATH, SOMAXCONN, GROUP_SMTPD);
  if (listener < 0) {
    die_errno("listen at " AUTHD_PATH);
  }
  block_signals();
  server = seqpacket_pair(pair) < 0 ? -1 : fork();
  if (server < 0) {
    die_errno("start the server");
  }
  if (server == 0) {
    close(pair[0]);
    serve(listener, pair[1], parent, &server_id, config);
  }
  close(pair[1]);
  close(listener);
  if ((user && geteuid() == 0 && drop_to(own.uid, own.gid) < 0) || drop_hide() < 0) {
    die_errno("give up root");
  }
  return authd_checks(pair[0], server, argv, config->checks_max);
}

static void prepare(const char *directory)
{
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
}

int main(int argc, char **argv)
{
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  const char *directory = NULL, *user = NULL;
  uint64_t checks = CHECKS_DEFAULT;
  struct authd_config config;
  int option;

  report_program("relay-authd");
  while ((option = getopt_long(argc, argv, "+d:u:", options, NULL)) != -1) {
    switch (option) {
    case 'd':
      directory = optarg;
      break;
    case 'u':
      user = optarg;
      break;
    default:
      usage(option == 'h' ? EXIT_OK : EXIT_USAGE);
    }
  }
  prepare(directory);
  argv = optind < argc ? argv + optind : words_of_file();
  config.program = *argv;
  config.response_first = load_cram();
  check(control_u64("concurrencyauth", 1, CHECKS_MAX, &checks));
  config.checks_max = (unsigned)checks;
  return run(argv, user, &config);
}
