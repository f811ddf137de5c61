/*
 * relay-authd: has user names and passwords checked for relay-smtpd, by any
 * checkpassword-compatible program, so that no password store can be read by
 * a process that parses bytes from the network.
 *
 * Runs as root, or with -u as the user who may read the passwords. Trusts
 * nobody who connects to run/authd: of what they send it believes only the
 * form, hands it to a fresh process of that program on fd 3, and believes its
 * exit status. fd 2 is the log; 0 and 1 are not used.
 */
#include "authd_serve.h"

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
        "  -u USER  who may read the passwords (default: the caller)\n",
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

static void give_up_root(const char *user)
{
  uid_t uid = geteuid();
  gid_t gid = getegid();

  if (user && uid == 0) {
    if (drop_lookup(user, &uid, &gid) < 0) {
      report_fatal("no user %s", user);
      _exit(EXIT_PERMANENT);
    }
    if (drop_to(uid, gid) < 0) {
      die_errno("give up root");
    }
  }
  if (drop_hide() < 0) {
    die_errno("hide from others of this user");
  }
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
  int option, listener;

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
  config.argv = optind < argc ? argv + optind : words_of_file();
  config.response_first = load_cram();
  check(control_u64("concurrencyauth", 1, CHECKS_MAX, &checks));
  config.checks_max = (unsigned)checks;
  listener = seqpacket_listen_group(AUTHD_PATH, SOMAXCONN, GROUP_SMTPD);
  if (listener < 0) {
    die_errno("listen at " AUTHD_PATH);
  }
  give_up_root(user);
  return authd_serve(listener, &config);
}
