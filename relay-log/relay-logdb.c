/*
 * relay-logdb: loads the logs into SQL while they grow. Runs as relayl, a
 * service of its own: it reads what multilog has written, and the mail never
 * waits for it. Trusts nothing in the logs. fds: 0 unused, 1 and 2 its own log.
 */
#include "clock.h"
#include "drop.h"
#include "exits.h"
#include "log_service.h"
#include "logdb_load.h"
#include "logdb_retain.h"
#include "report.h"
#include "scan.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH_LINES 20000 /* in one transaction */
#define BATCH_MS 1000     /* and, while the log grows slowly, so long */
#define POLL_MS 200       /* between two looks at a log that has nothing new */
#define RETAIN_MS 600000  /* between two looks for old rows */
#define KEEP_DAYS_MAX 99999
#define DIRECTORY_MAX 255 /* log_files.directory */
#define DAY_NS (INT64_C(86400) * 1000000000)

static struct {
  const char *sqlite, *mysql, *source;
  uint64_t keep_days; /* 0: for ever */
  bool once;
} options;

static struct logdb db;
static struct log_merge merge;
static struct logdb_load load;
static volatile sig_atomic_t stop;

static void usage(FILE *out)
{
  fputs("usage: relay-logdb -s FILE|-m FILE [-n NAME] [-k DAYS] [--once] [LOGDIR ...]\n"
        "       relay-logdb --help\n"
        "Loads relay's logs into SQL, goes on where it stopped, and follows them.\n"
        "  -s FILE    a database of SQLite, made if it is not there\n"
        "  -m FILE    MariaDB or MySQL: an option file of its clients, group [relay-logdb]\n"
        "             or [client], with socket or host, user, password, database\n"
        "  -n NAME    whose logs these are, where several relays share a database\n"
        "             (default: the host's name)\n"
        "  -k DAYS    delete what is older (default: keep everything)\n"
        "  --once     load what is there and end\n"
        "  LOGDIR     directories of multilog, or directories of these (default:\n"
        "             /etc/relay/smtpd/log/main /etc/relay/send/log/main)\n",
        out);
}

static void on_signal(int number)
{
  (void)number;
  stop = 1;
}

static void add_directory(void *argument, char *directory)
{
  (void)argument;
  if (strlen(directory) > DIRECTORY_MAX) {
    report_fatal("%s: a path of over %d bytes", directory, DIRECTORY_MAX);
    exit(EXIT_USAGE);
  }
  if (log_merge_add(&merge, directory) == -1) {
    report_fatal_errno("unable to read %s", directory);
    exit(EXIT_TEMPORARY);
  }
}

/* The file has a password in it: others must not be able to read it. */
static void check_options_file(void)
{
  struct stat st;

  if (stat(options.mysql, &st) == -1 || access(options.mysql, R_OK) == -1) {
    report_fatal_errno("unable to read %s", options.mysql);
    exit(EXIT_TEMPORARY);
  }
  if (st.st_mode & S_IROTH) {
    report_fatal("%s can be read by everybody, and has a password in it (chmod o= %s)",
                 options.mysql, options.mysql);
    exit(EXIT_USAGE);
  }
}

static void take_option(int c)
{
  switch (c) {
  case 'h':
    usage(stdout);
    exit(EXIT_OK);
  case 's':
    options.sqlite = optarg;
    break;
  case 'm':
    options.mysql = optarg;
    break;
  case 'n':
    options.source = optarg;
    break;
  case 'o':
    options.once = true;
    break;
  case 'k':
    if (scan_u64(optarg, strlen(optarg), KEEP_DAYS_MAX, &options.keep_days) == 0 &&
        options.keep_days > 0) {
      break;
    }
    report_fatal("-k %s: not a number of days from 1 to %d", optarg, KEEP_DAYS_MAX);
    exit(EXIT_USAGE);
  default:
    usage(stderr);
    exit(EXIT_USAGE);
  }
}

static void parse(int argc, char **argv)
{
  static const struct option longs[] = {
    {"help", no_argument, NULL, 'h'}, {"once", no_argument, NULL, 'o'}, {0}};
  static char host[256];
  int c;

  while ((c = getopt_long(argc, argv, "hs:m:n:k:", longs, NULL)) != -1) {
    take_option(c);
  }
  if (!options.sqlite == !options.mysql) {
    report_fatal("one of -s FILE (SQLite) and -m FILE (MariaDB) is needed");
    exit(EXIT_USAGE);
  }
  if (!options.source) {
    gethostname(host, sizeof(host) - 1);
    options.source = *host ? host : "localhost";
  }
  if (strlen(options.source) > 200 || !scan_utf8_valid(options.source, strlen(options.source))) {
    report_fatal("-n %s: not a name of at most 200 bytes", options.source);
    exit(EXIT_USAGE);
  }
  if (options.mysql) {
    check_options_file();
  }
  log_services(argv + optind, !options.once, add_directory, NULL);
}

static void take_signals(void)
{
  struct sigaction action = {.sa_handler = on_signal};

  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static void wait_a_little(void)
{
  struct timespec t = {.tv_nsec = POLL_MS * 1000000};

  nanosleep(&t, NULL); /* a signal ends it */
}

/* One step, if it is time for one. */
static void retain(void)
{
  static int64_t next;
  int64_t now = clock_monotonic_ms();

  if (options.keep_days == 0 || now < next) {
    return;
  }
  int64_t cutoff = clock_wall_ms() * 1000000 - (int64_t)options.keep_days * DAY_NS;
  if (!logdb_retain(&db, cutoff)) {
    next = now + RETAIN_MS;
  }
}

/* Whether a line was there. */
static bool take_line(void)
{
  struct log_entry entry;
  unsigned failed = 0;
  int got = log_merge_next(&merge, &entry, &failed);

  if (got == -1) {
    const char *directory = merge.follow[failed].directory;
    if (errno == EPROTO) {
      report_fatal("%s has lines without a time stamp (its multilog needs t)", directory);
      exit(EXIT_USAGE);
    }
    report_fatal_errno("unable to read %s", directory);
    exit(EXIT_TEMPORARY);
  }
  if (got == 1) {
    logdb_load_line(&load, &entry);
  }
  return got == 1;
}

static void follow(void)
{
  int64_t committed = clock_monotonic_ms();

  while (!stop) {
    bool more = take_line();
    if (more && load.lines < BATCH_LINES) {
      continue;
    }
    /* A transaction that is open holds up readers of MariaDB's rows and SQLite's checkpoints. */
    if (load.lines > 0 && (more || options.once || clock_monotonic_ms() - committed >= BATCH_MS)) {
      logdb_load_commit(&load);
      committed = clock_monotonic_ms();
    }
    if (load.lines == 0) {
      retain();
    }
    if (!more && options.once) {
      return;
    }
    if (!more) {
      wait_a_little();
    }
  }
}

int main(int argc, char **argv)
{
  report_program("relay-logdb");
  parse(argc, argv);
  drop_hide();
  take_signals();
  logdb_open(&db, options.sqlite, options.mysql, options.source);
  logdb_load_open(&load, &db, &merge);
  follow();
  logdb_load_commit(&load);
  if (options.once) {
    report_info("%llu lines loaded", (unsigned long long)load.total);
    while (options.keep_days > 0 &&
           logdb_retain(&db, clock_wall_ms() * 1000000 - (int64_t)options.keep_days * DAY_NS)) {
    }
  }
  logdb_load_close(&load);
  logdb_close(&db);
  for (unsigned i = 0; i < merge.count; i++) {
    free((char *)merge.follow[i].directory);
  }
  log_merge_close(&merge);
  return EXIT_OK;
}
