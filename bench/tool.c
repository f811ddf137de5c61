/* What the tools of bench/ share. */
#include "tool.h"

#include "buf.h"
#include "exits.h"
#include "heap.h"
#include "io.h"
#include "ip.h"
#include "report.h"
#include "scan.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX (16 << 20) /* bytes that one turn may log */

struct loop tool_loop;
static struct heap timers;
static struct loop_watch alarm_watch, signal_watch;
static int64_t armed; /* what the timerfd is set to, 0 for nothing */
static void (*at_turn_end)(void);
static int log_fd = -1;
static struct buf log_lines;

int64_t tool_now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

_Noreturn void tool_die(const char *what)
{
  report_fatal_errno("unable to %s", what);
  exit(EXIT_TEMPORARY);
}

_Noreturn void tool_usage(const char *text)
{
  fputs(text, stderr);
  exit(EXIT_USAGE);
}

/* --- timers */

static void moved(void *item, uint32_t place)
{
  ((struct tool_timer *)item)->place = place;
}

void tool_timer_init(struct tool_timer *timer, void (*due)(struct tool_timer *timer))
{
  *timer = (struct tool_timer){.due = due, .place = HEAP_NOWHERE};
}

void tool_timer_set(struct tool_timer *timer, int64_t when)
{
  if (timer->place != HEAP_NOWHERE) {
    heap_change(&timers, timer->place, when);
  } else if (heap_insert(&timers, when, timer) == -1) {
    tool_die("set a timer");
  }
}

void tool_timer_clear(struct tool_timer *timer)
{
  if (timer->place != HEAP_NOWHERE) {
    heap_remove(&timers, timer->place);
  }
}

static void run_timers(void)
{
  const struct heap_entry *first;
  int64_t now = tool_now();

  while ((first = heap_first(&timers)) && first->when <= now) {
    struct tool_timer *timer = first->item;
    heap_remove(&timers, timer->place);
    timer->due(timer);
  }
}

/* Not epoll's own time-out: milliseconds are too coarse for a delay of 5 ms. */
static void arm(void)
{
  const struct heap_entry *first = heap_first(&timers);
  int64_t when = first ? first->when : 0;
  struct itimerspec t = {.it_value = {when / 1000000, when % 1000000 * 1000}};

  if (when != armed && timerfd_settime(alarm_watch.fd, TFD_TIMER_ABSTIME, &t, NULL) == -1) {
    tool_die("set the timer");
  }
  armed = when;
}

/* Nothing to be read: the turn's end sets the timer again, which makes it unreadable. */
static void alarm_ready(struct loop_watch *watch, uint32_t events)
{
  (void)watch;
  (void)events;
  armed = -1;
}

/* --- the loop */

static void signal_ready(struct loop_watch *watch, uint32_t events)
{
  struct signalfd_siginfo info;

  (void)events;
  if (read(watch->fd, &info, sizeof info) == sizeof info) {
    tool_loop.stop = true;
  }
}

static int before_wait(void *arg)
{
  (void)arg;
  run_timers();
  if (at_turn_end) {
    at_turn_end();
  }
  tool_log_flush();
  arm();
  return -1;
}

void tool_watch(struct loop_watch *watch)
{
  if (loop_add(&tool_loop, watch) == -1) {
    tool_die("watch a descriptor");
  }
}

void tool_rewatch(struct loop_watch *watch, uint32_t events)
{
  if (watch->events != events && loop_change(&tool_loop, watch, events) == -1) {
    tool_die("watch a descriptor");
  }
}

void tool_start(void (*turn)(void))
{
  sigset_t ends;

  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  signal(SIGPIPE, SIG_IGN);
  heap_init(&timers, moved);
  at_turn_end = turn;
  if (loop_init(&tool_loop) == -1) {
    tool_die("make an event loop");
  }
  tool_loop.before_wait = before_wait;
  alarm_watch = (struct loop_watch){timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
                                    EPOLLIN, alarm_ready};
  signal_watch =
    (struct loop_watch){signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC), EPOLLIN, signal_ready};
  if (alarm_watch.fd == -1 || signal_watch.fd == -1) {
    tool_die("make a timer");
  }
  tool_watch(&alarm_watch);
  tool_watch(&signal_watch);
}

void tool_run(void)
{
  if (loop_run(&tool_loop) == -1) {
    tool_die("wait for events");
  }
  tool_log_flush();
}

/* --- the event log */

void tool_log_open(const char *path)
{
  log_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd == -1) {
    tool_die(path);
  }
  buf_init(&log_lines, LOG_MAX);
}

void tool_log(const char *format, ...)
{
  va_list ap;
  int failed;

  if (log_fd == -1) {
    return;
  }
  va_start(ap, format);
  failed = buf_vprintf(&log_lines, format, ap);
  va_end(ap);
  if (failed || buf_append_char(&log_lines, '\n') == -1) {
    tool_die("log");
  }
}

void tool_log_flush(void)
{
  if (log_lines.len > 0 && io_write_all(log_fd, log_lines.data, log_lines.len, IO_FOREVER) == -1) {
    tool_die("write the log");
  }
  buf_reset(&log_lines);
}

/* --- the command line */

uint64_t tool_number(const char *what, const char *text, uint64_t max)
{
  uint64_t value;

  if (scan_u64(text, strlen(text), max, &value) == -1) {
    report_fatal("%s: not a number up to %llu: %s", what, (unsigned long long)max, text);
    exit(EXIT_USAGE);
  }
  return value;
}

struct sockaddr_in tool_address(const char *text)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  size_t len = strcspn(text, ":");
  struct ip ip;

  if (ip_parse(text, len, &ip) == -1 || ip.family != AF_INET) {
    report_fatal("not ADDRESS:PORT with an IPv4 address: %s", text);
    exit(EXIT_USAGE);
  }
  memcpy(&address.sin_addr, ip.bytes, sizeof address.sin_addr);
  if (text[len] == ':') {
    address.sin_port = htons((uint16_t)tool_number("port", text + len + 1, 65535));
  }
  return address;
}

void tool_raise_files(void)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}
