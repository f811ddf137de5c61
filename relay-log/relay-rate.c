/*
 * relay-rate: how much mail comes and goes, out of the logs as they grow. Runs
 * as whoever may read them; trusts nothing in them. fds: 0, 1, 2.
 */
#include "clock.h"
#include "exits.h"
#include "log_service.h"
#include "rate.h"
#include "report.h"
#include "scan.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_DEFAULT 6
#define SECONDS_MAX 86400
#define POLL_MS 100

static struct {
  uint64_t seconds, count, top; /* count 0: for ever */
  bool once, json;
} options = {.seconds = SECONDS_DEFAULT};

static struct log_merge merge;
static struct rate rate;
static volatile sig_atomic_t stop;

static void usage(FILE *out)
{
  fputs("usage: relay-rate [--every SECONDS] [--count N] [--top N] [--json] [LOGDIR ...]\n"
        "       relay-rate --once [--top N] [--json] [LOGDIR ...]\n"
        "       relay-rate --help\n"
        "Follows the logs and says how many messages were taken and delivered.\n"
        "  --every SECONDS  between two reports (default 6)\n"
        "  --count N        end after N reports\n"
        "  --top N          the N busiest tenants and sites with each\n"
        "  --once           one report about all that the logs hold now\n"
        "  --json           an object a line\n"
        "  LOGDIR           directories of multilog, or directories of these (default:\n"
        "                   /etc/relay/smtpd/log/main /etc/relay/send/log/main)\n",
        out);
}

_Noreturn static void die_usage(void)
{
  usage(stderr);
  exit(EXIT_USAGE);
}

static void on_signal(int number)
{
  (void)number;
  stop = 1;
}

static void take_number(const char *option, uint64_t max, uint64_t *value)
{
  if (scan_u64(optarg, strlen(optarg), max, value) == -1 || *value == 0) {
    report_fatal("%s %s: not a number from 1 to %llu", option, optarg, (unsigned long long)max);
    exit(EXIT_USAGE);
  }
}

static void parse(int argc, char **argv)
{
  static const struct option longs[] = {
    {"help", no_argument, NULL, 'h'},
    {"every", required_argument, NULL, 'e'},
    {"count", required_argument, NULL, 'c'},
    {"top", required_argument, NULL, 't'},
    {"once", no_argument, NULL, 'o'},
    {"json", no_argument, NULL, 'j'},
    {0},
  };
  int c;

  while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
    switch (c) {
    case 'h':
      usage(stdout);
      exit(EXIT_OK);
    case 'e':
      take_number("--every", SECONDS_MAX, &options.seconds);
      break;
    case 'c':
      take_number("--count", 1000000000, &options.count);
      break;
    case 't':
      take_number("--top", 1000, &options.top);
      break;
    case 'o':
      options.once = true;
      break;
    case 'j':
      options.json = true;
      break;
    default:
      die_usage();
    }
  }
  if (options.once && options.count) {
    die_usage();
  }
}

static void add_directory(void *argument, char *directory)
{
  (void)argument;
  if (log_merge_add(&merge, directory) == -1 ||
      (!options.once && log_follow_skip(&merge.follow[merge.count - 1]) == -1)) {
    report_fatal_errno("unable to read %s", directory);
    exit(EXIT_TEMPORARY);
  }
}

/* All lines that are there now. */
static void take_lines(void)
{
  struct log_entry entry;
  unsigned failed = 0;
  int got;

  while (!stop && (got = log_merge_next(&merge, &entry, &failed)) != 0) {
    if (got == -1 || rate_line(&rate, &entry) == -1) {
      report_fatal_errno("unable to read %s", merge.follow[failed].directory);
      exit(errno == EPROTO ? EXIT_USAGE : EXIT_TEMPORARY);
    }
  }
}

static void print(double seconds, int64_t at)
{
  struct rate_report report = {seconds, at, (unsigned)options.top};

  (options.json ? rate_print_json : rate_print)(stdout, &rate, &report);
  rate_next(&rate);
  if (fflush(stdout) == EOF) {
    report_fatal_errno("unable to write");
    exit(EXIT_TEMPORARY);
  }
}

static void once(void)
{
  take_lines();
  double seconds = (double)(rate.last_at - rate.first_at) / 1e9;
  print(seconds, rate.last_at ? rate.last_at : clock_wall_ms() * 1000000);
}

static void follow(void)
{
  struct timespec little = {.tv_nsec = POLL_MS * 1000000};
  int64_t began = clock_monotonic_ms(), last = began;
  uint64_t reports = 0;

  while (!stop) {
    take_lines();
    int64_t now = clock_monotonic_ms();
    if (now - began >= (int64_t)(options.seconds * 1000 * (reports + 1))) {
      print((double)(now - last) / 1000, clock_wall_ms() * 1000000);
      last = now;
      reports++;
      if (reports == options.count) {
        return;
      }
    }
    nanosleep(&little, NULL);
  }
}

int main(int argc, char **argv)
{
  struct sigaction action = {.sa_handler = on_signal};

  report_program("relay-rate");
  parse(argc, argv);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  rate_init(&rate);
  log_services(argv + optind, !options.once, add_directory, NULL);
  if (options.once) {
    once();
  } else {
    follow();
  }
  rate_free(&rate);
  for (unsigned i = 0; i < merge.count; i++) {
    free((char *)merge.follow[i].directory);
  }
  log_merge_close(&merge);
  return EXIT_OK;
}
