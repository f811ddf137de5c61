/*
 * relay-queue: takes messages in, commits them to queue/, hands them out to
 * relay-send, records what became of them.
 *
 * Runs as relayq, which alone owns queue/. Trusts relay-send to know what it
 * does; checks all that comes from relay-smtpd and relay-inject, which parse
 * other people's bytes, and from relay-bounce.
 * fds: 2 log (not blocking), 3 run/intake and 4 run/inject (listening),
 * 5 relay-send, 6 relay-bounce. Ends when 5 or 6 does.
 */
#include "clock.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "queue_big.h"
#include "queue_client.h"
#include "queue_compact.h"
#include "queue_dispatch.h"
#include "queue_floor.h"
#include "queue_list.h"
#include "queue_notice.h"
#include "queue_replay.h"
#include "queue_submission.h"
#include "queue_tell.h"
#include "queue_trial.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FD_INTAKE = 3, FD_INJECT = 4, FD_SEND = 5, FD_BOUNCE = 6 };

#define LOCK_WAIT_MS 30000  /* the generation before may still be syncing */
#define ENDING_MS 60000     /* for results that cannot be written */

static struct queue queue;
static int64_t ending_deadline;

void queue_die(const char *what)
{
  report_fatal_errno("unable to %s", what);
  _exit(EXIT_TEMPORARY);
}

_Noreturn static void usage(int status)
{
  fputs("usage: relay-queue -l QUEUEDIR       list the messages in a queue\n"
        "       relay-queue -x QUEUEDIR ID    write one message to standard output\n"
        "       relay-queue [-d DIR]          keep the queue of DIR; started by relay-start\n"
        "-l and -x only read, with or without a running relay.\n",
        status == EXIT_OK ? stdout : stderr);
  exit(status);
}

/* Two generations never run at once. The lock is held until the process ends. */
static void take_lock(void)
{
  int fd = open("queue/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  int64_t deadline = clock_monotonic_ms() + LOCK_WAIT_MS;
  bool told = false;

  if (fd == -1) {
    queue_die("open queue/lock");
  }
  while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      queue_die("lock queue/lock");
    }
    if (clock_monotonic_ms() > deadline) {
      queue_die("lock queue/lock: another relay-queue runs");
    }
    if (!told) {
      report_info("waiting for queue/lock: another relay-queue is still running");
      told = true;
    }
    usleep(50000);
  }
}

/* What replay read may still be in the page cache only; from here on things depend on it. */
static void sync_last(struct queue *q)
{
  struct store *s = &q->store;
  int fd;

  while (s->count > 0 && s->segments[s->count - 1].end == 0) {
    if (store_drop_last(s) == -1) {
      queue_die("remove an empty segment");
    }
  }
  if (s->count == 0) {
    return;
  }
  fd = store_fd(s, &s->segments[s->count - 1]);
  if (fd == -1 || fdatasync(fd) == -1) {
    queue_die("sync the last segment");
  }
}

static void open_queue(struct queue *q)
{
  int64_t start = clock_monotonic_ms();
  struct replay_counts counts;
  const char *what;

  if (store_open(&q->store, "queue", q->config.segment_bytes, false, &what) == -1) {
    report_fatal_errno("unable to open %s", what);
    _exit(EXIT_TEMPORARY);
  }
  index_init(&q->index);
  if (replay_run(&q->store, &q->index, &counts) == -1) {
    queue_die("read queue/log");
  }
  sync_last(q);
  big_clean(&q->store, &q->index);
  floor_start(q);
  loglines_printf(&q->log, '=',
                  "replay messages=%zu records=%llu damaged=%llu strays=%llu segments=%u ms=%lld",
                  q->index.by_serial.count, (unsigned long long)counts.records,
                  (unsigned long long)counts.damaged, (unsigned long long)counts.strays,
                  q->index.segment_count, (long long)(clock_monotonic_ms() - start));
}

/* relay-send or relay-bounce is gone: what relay-send told us is made durable, then the end. */
static void end(struct queue *q, int64_t now)
{
  if (ending_deadline == 0) {
    ending_deadline = now + ENDING_MS;
  }
  q->commit.urgent = true;
  submission_run_waiting(q); /* of through: what relay-send was trying is committed, too */
  if (commit_idle(q) && !q->waiting_first && q->preparing == 0) {
    loglines_flush(&q->log);
    _exit(EXIT_OK);
  }
  if (now > ending_deadline) {
    queue_die("write the last results");
  }
}

static int sooner(int a, int b)
{
  return a == -1 ? b : b == -1 || a < b ? a : b;
}

static int before_wait(void *arg)
{
  struct queue *q = arg;
  int64_t now = clock_monotonic_ms();
  int wait;

  if (q->ending) {
    end(q, now);
  } else {
    submission_run_waiting(q);
    tell_run(q);
    notice_run(q);
    compact_run(q, now);
  }
  wait = floor_run(q, now);
  wait = sooner(wait, commit_run(q, now));
  wait = sooner(wait, client_run(q, now));
  if (q->compaction.next > now) {
    wait = sooner(wait, (int)(q->compaction.next - now));
  }
  if (!q->ending) {
    channel_flush(&q->send);
    channel_flush(&q->bounce);
  }
  loglines_flush(&q->log);
  return wait;
}

static void ignore_signals(void)
{
  /* svc's signals are relay-send's; we end when it does. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGALRM, SIG_IGN);
}

static void serve(struct queue *q)
{
  int fd;

  for (fd = FD_INTAKE; fd <= FD_BOUNCE; fd++) {
    if (io_set_nonblocking(fd) == -1 || io_set_cloexec(fd) == -1) {
      report_fatal_errno("unable to use descriptor %d (relay-start makes them)", fd);
      exit(EXIT_USAGE);
    }
  }
  commit_init(q);
  trial_start(q);
  q->loop.before_wait = before_wait;
  q->loop.arg = q;
  if (disk_start(&q->disk, &q->loop) == -1 || notice_open(q, FD_BOUNCE) == -1 ||
      dispatch_open(q, FD_SEND) == -1 || client_listen(q, FD_INTAKE, FD_INJECT) == -1) {
    queue_die("start");
  }
  if (loop_run(&q->loop) == -1) {
    queue_die("wait for events");
  }
}

static const char *parse(int argc, char **argv)
{
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
  const char *home = NULL;
  int c;

  while ((c = getopt_long(argc, argv, "+d:lx", options, NULL)) != -1) {
    switch (c) {
    case 'd':
      home = optarg;
      break;
    case 'l':
      if (optind + 1 != argc) {
        usage(EXIT_USAGE);
      }
      exit(list_queue(argv[optind]));
    case 'x':
      if (optind + 2 != argc) {
        usage(EXIT_USAGE);
      }
      exit(extract_message(argv[optind], argv[optind + 1]));
    default:
      usage(c == 'h' ? EXIT_OK : EXIT_USAGE);
    }
  }
  if (optind != argc) {
    usage(EXIT_USAGE);
  }
  return home;
}

int main(int argc, char **argv)
{
  struct queue *q = &queue;
  const char *home;
  int status;

  report_program("relay-queue");
  home = parse(argc, argv);
  ignore_signals();
  drop_hide();
  drop_raise_nofile();
  if (home_enter(home) == -1) {
    queue_die("enter the relay's directory");
  }
  status = queue_config_read(&q->config);
  if (status != EXIT_OK) {
    return status;
  }
  umask(077);
  loglines_init(&q->log, 2, true);
  if (loop_init(&q->loop) == -1) {
    queue_die("make a loop");
  }
  take_lock();
  open_queue(q);
  serve(q);
  return EXIT_OK;
}
