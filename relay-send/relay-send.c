/*
 * relay-send: the scheduler. Knows every recipient in the queue, decides when
 * and over which connection each is tried, and tells relay-queue what became
 * of it. Touches neither disk nor network.
 *
 * Runs as relays, started by relay-start. Trusts relay-queue; checks what the
 * workers, the resolver and operators send. fds: 2 the log (non-blocking, its
 * own), 3 run/ctl, listening, 5 relay-queue, 7 the master of relay-remote.
 */
#include "ctl_server.h"
#include "departure.h"
#include "dispatch_client.h"
#include "domain.h"
#include "drop.h"
#include "exits.h"
#include "flow.h"
#include "hold.h"
#include "home.h"
#include "io.h"
#include "job.h"
#include "lane.h"
#include "lookup.h"
#include "master.h"
#include "notice.h"
#include "report.h"
#include "results.h"
#include "replies.h"
#include "retry_all.h"
#include "schedule.h"
#include "stop.h"
#include "tenant.h"
#include "through.h"
#include "tls_memory.h"
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FD_LOG = 2, FD_CTL = 3, FD_DISPATCH = 5, FD_WORK = 7 };

#define TIMERS_A_TURN 2000
#define STALLED_MS 10 /* descriptors in flight are taken by their receivers: soon */

static struct loop_watch signals;

static void die_errno(const char *what)
{
  report_fatal_errno("unable to %s", what);
  exit(EXIT_TEMPORARY);
}

static void read_again(void)
{
  struct settings fresh, old = sched.settings;

  if (settings_read(&fresh) == -1) {
    report_warning("the old settings stay: %s", control_error());
    snprintf(sched.old_settings, sizeof sched.old_settings, "%s", control_error());
    return;
  }
  sched.old_settings[0] = '\0';
  sched.settings = fresh;
  for (struct list_node *s = sites.head.next; s != &sites.head; s = s->next) {
    struct site *site = LIST_ITEM(s, struct site, all);
    for (struct list_node *l = site->lanes.next; l != &site->lanes; l = l->next) {
      struct lane *lane = LIST_ITEM(l, struct lane, in_site);
      window_set_most(&lane->window, (uint32_t)sched.settings.site_connections);
      window_set_raise(&lane->window, sched.settings.ceiling_first, sched.settings.ceiling_most);
      lane_room(lane);
    }
  }
  departure_settings_changed(&old);
  domain_settings_changed(&old);
  settings_free(&old);
  loglines_printf(&sched.log, '=', "settings read=1");
}

static void signal_ready(struct loop_watch *watch, uint32_t events)
{
  struct signalfd_siginfo info;

  sched_clock();
  (void)events;
  while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      read_again();
    } else if (info.ssi_signo == SIGALRM) {
      retry_all_begin();
    } else {
      stop_begin(EXIT_OK);
    }
  }
}

/* First of all: svc may send one at any time, and its default action would end us. */
static void block_signals(sigset_t *set)
{
  sigemptyset(set);
  sigaddset(set, SIGHUP);
  sigaddset(set, SIGALRM);
  sigaddset(set, SIGTERM);
  sigprocmask(SIG_BLOCK, set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static int watch_signals(const sigset_t *set)
{
  signals = (struct loop_watch){.events = EPOLLIN, .ready = signal_ready};
  signals.fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
  return signals.fd == -1 ? -1 : loop_add(&sched.loop, &signals);
}

/* What the turn has made possible is started, then all that it has to say is sent. */
static int before_wait(void *arg)
{
  (void)arg;
  sched_clock();
  timer_run(sched.now, TIMERS_A_TURN);
  bool more = ctl_server_run();
  more |= retry_all_run();
  more |= lanes_run(job_start);
  through_turn();
  int fresh = dispatch_client_turn();
  results_flush();
  if (stop_ready()) {
    sched.loop.stop = true;
  }
  dispatch_client_flush();
  master_flush();
  lookup_flush();
  bool stalled = workers_flush();
  workers_pause(dispatch_client_full());
  loglines_flush(&sched.log);
  int wait = more ? 0 : timer_wait(sched.now);
  if (fresh != -1 && (wait == -1 || wait > fresh)) {
    wait = fresh;
  }
  stalled = stalled || dispatch_client_stalled() || master_stalled() || lookup_stalled();
  if (stalled && (wait == -1 || wait > STALLED_MS)) {
    wait = STALLED_MS;
  }
  return wait;
}

static void start_modules(void)
{
  timer_start();
  message_start();
  tenant_start();
  flow_start();
  hold_start();
  lane_start();
  domain_start();
  lookup_start();
  schedule_start();
  notice_start();
  job_start_module();
  worker_start();
  through_start();
  tls_memory_start();
  stop_start();
  retry_all_start();
}

static void configure(const char *directory)
{
  if (home_enter(directory) == -1) {
    die_errno("enter the relay's directory");
  }
  if (settings_read(&sched.settings) == -1) {
    report_fatal("%s", control_error());
    exit(EXIT_USAGE);
  }
}

static const char usage[] =
  "usage: relay-send [-d DIR]\n"
  "       relay-send [-d DIR] --replies\n"
  "The scheduler. Run by relay-start, which gives it sockets on fds 3, 5 and 7.\n"
  "  --replies  print control/replies and the table behind it, and end\n";

/* Takes the word out of the command line. */
static bool take_word(int *argc, char **argv, const char *word)
{
  for (int i = 1; i < *argc; i++) {
    if (strcmp(argv[i], word) == 0) {
      memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof *argv);
      --*argc;
      return true;
    }
  }
  return false;
}

static int print_replies(const char *directory)
{
  if (home_enter(directory) == -1) {
    die_errno("enter the relay's directory");
  }
  if (replies_print(stdout) != CONTROL_OK) {
    report_fatal("%s", control_error());
    return EXIT_USAGE;
  }
  if (fflush(stdout) == EOF || ferror(stdout)) {
    die_errno("write the table");
  }
  return EXIT_OK;
}

int main(int argc, char **argv)
{
  const char *directory = NULL;
  sigset_t set;
  int status;

  report_program("relay-send");
  bool replies = take_word(&argc, argv, "--replies");
  status = home_options(argc, argv, usage, &directory);
  if (status != -1) {
    return status;
  }
  if (replies) {
    return print_replies(directory);
  }
  block_signals(&set);
  configure(directory);
  if (drop_hide() == -1) {
    die_errno("hide from processes of the same user");
  }
  drop_raise_nofile();
  sched_clock();
  sched.started = sched.now;
  loglines_init(&sched.log, FD_LOG, true);
  start_modules();
  if (loop_init(&sched.loop) == -1 || watch_signals(&set) == -1 || ctl_server_open(FD_CTL) == -1 ||
      dispatch_client_open(FD_DISPATCH) == -1 || master_open(FD_WORK) == -1) {
    die_errno("start; relay-start gives it fds 3, 5 and 7");
  }
  sched.loop.before_wait = before_wait;
  if (loop_run(&sched.loop) == -1) {
    die_errno("wait for events");
  }
  return sched.stop_status;
}
