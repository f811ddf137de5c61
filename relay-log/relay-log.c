/*
 * relay-log: a filter in front of multilog that knows SMTP and POP3.
 *
 * Runs as relayl, in a log/run. fd 0 is the log of a service: relay's own lines,
 * recordio's of any server, tcpserver's. fd 2 is for itself. What passes goes
 * to the writer (writer.h). Everything on fd 0 was said by strangers or by the
 * programs that talk to them: once the writer runs this process can open no
 * file, signal nobody and start nothing.
 */
#include "follow.h"
#include "pattern.h"
#include "writer.h"

#include "clock.h"
#include "confine.h"
#include "drop.h"
#include "exits.h"
#include "io.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_SIZE (1 << 18) /* bytes: four times what a pipe holds */
#define INPUT_LINE_MAX 65536 /* bytes of a line that are looked at; the rest is counted */
#define INPUT_REST_MS 1000   /* on TERM, for the rest of a line to come */

#define REST_MS 10
#define REST_BELOW 16384 /* bytes a read: more is coming faster than it can be left to wait */

static volatile sig_atomic_t stopping, alarms, child;

static struct input {
  size_t len;
  size_t more; /* bytes left out of the line that begins data */
  char data[INPUT_SIZE];
} input;

static struct outlet outlet;
static struct writer writer;

static void on_signal(int number)
{
  if (number == SIGCHLD) {
    child = 1;
  } else if (number == SIGALRM) {
    alarms = 1;
  } else {
    stopping = 1;
  }
}

/* Signals come only while we wait (ppoll), so none is missed. The mask to wait with. */
static sigset_t catch_signals(void)
{
  static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD};
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t blocked, before;

  sigemptyset(&blocked);
  for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
    sigaddset(&blocked, caught[i]);
    sigaction(caught[i], &action, NULL);
  }
  sigprocmask(SIG_BLOCK, &blocked, &before);
  signal(SIGPIPE, SIG_IGN);
  return before;
}

static void write_out(void *arg, const char *data, size_t len)
{
  struct writer *w = arg;

  if (io_write_all(w->fd, data, len, IO_FOREVER) < 0) {
    report_fatal_errno("unable to write to the log's writer");
    _exit(EXIT_TEMPORARY);
  }
}

/* Whole lines go to follow; the rest stays. */
static void take_lines(struct follow *follow)
{
  char *p = input.data, *end = input.data + input.len, *newline;

  while ((newline = memchr(p, '\n', (size_t)(end - p)))) {
    size_t len = (size_t)(newline - p);
    if (len > INPUT_LINE_MAX) {
      input.more += len - INPUT_LINE_MAX;
      len = INPUT_LINE_MAX;
    }
    follow_line(follow, p, len, input.more);
    input.more = 0;
    p = newline + 1;
  }
  input.len = (size_t)(end - p);
  memmove(input.data, p, input.len);
  if (input.len == sizeof input.data) {
    input.more += input.len - INPUT_LINE_MAX;
    input.len = INPUT_LINE_MAX;
  }
}

/* Up to max bytes; 0 at the end of the log. */
static size_t take_input(struct follow *follow, size_t max)
{
  ssize_t n = read(0, input.data + input.len, max);

  if (n == -1 && errno != EINTR && errno != EAGAIN) {
    report_fatal_errno("unable to read the log");
    _exit(EXIT_TEMPORARY);
  }
  if (n > 0) {
    input.len += (size_t)n;
    take_lines(follow);
  }
  return n == -1 ? 1 : (size_t)n;
}

/*
 * As multilog does on TERM: to the end of the line that has begun, and not
 * beyond. The rest is in the pipe for who comes after us.
 */
static void finish_line(struct follow *follow)
{
  int64_t deadline = clock_monotonic_ms() + INPUT_REST_MS;

  while (input.len > 0 && io_wait(0, POLLIN, deadline) == 0 && take_input(follow, 1) > 0) {
  }
}

/* What the signals that came want. False: the end. */
static bool obey_signals(struct follow *follow)
{
  if (child && writer_gone(&writer)) {
    _exit(EXIT_TEMPORARY); /* the keeper has said why */
  }
  if (alarms) {
    alarms = 0;
    writer_alarm(&writer);
  }
  if (stopping) {
    finish_line(follow);
  }
  return !stopping;
}

/*
 * Lines that come singly are written at once, but then it rests a moment: on a
 * busy relay each line would wake us and then multilog.
 */
static void run(struct follow *follow, const sigset_t *waiting)
{
  const struct timespec moment = {.tv_nsec = REST_MS * 1000000L};
  struct pollfd p = {.fd = 0, .events = POLLIN};
  bool resting = false;
  size_t n;

  for (;;) {
    int ready = resting ? ppoll(NULL, 0, &moment, waiting) : ppoll(&p, 1, NULL, waiting);
    resting = false;
    if (!obey_signals(follow)) {
      return;
    }
    if (ready == 1) {
      n = take_input(follow, sizeof input.data - input.len);
      if (n == 0) {
        return;
      }
      resting = n < REST_BELOW;
      outlet_flush(&outlet);
    }
  }
}

static void usage(FILE *out)
{
  fputs("usage: relay-log [--help] [-h NAMES] smtp|pop3 [t] [-PATTERN | +PATTERN ...] WRITER [ARG "
        "...]\n"
        "Passes what is envelope and header of the sessions on standard input to WRITER.\n"
        "  -h NAMES      of header fields only these: -h From,To,Subject,X-*\n"
        "  t             the patterns expect a time stamp in front, as behind multilog's t\n"
        "  -PATTERN      as in multilog: deselects a line, +PATTERN selects it\n"
        "Example: relay-log -h From,To,Subject smtp multilog t s1000000 n20 ./main\n",
        out);
}

/* The patterns in place; the writer's command, or NULL. */
static char **parse_words(char **words)
{
  outlet.stamped = *words && strcmp(*words, "t") == 0;
  words += outlet.stamped;
  outlet.actions = words;
  while (*words && pattern_is_action(*words)) {
    words++;
  }
  outlet.action_count = (size_t)(words - outlet.actions);
  return *words ? words : NULL;
}

static int parse_options(int argc, char **argv, const char **names)
{
  int c;

  if (argc == 2 && strcmp(argv[1], "--help") == 0) {
    usage(stdout);
    exit(EXIT_OK);
  }
  while ((c = getopt(argc, argv, "+h:")) != -1) {
    if (c != 'h') {
      return -1;
    }
    *names = optarg;
  }
  return argc - optind < 2 ? -1 : 0;
}

int main(int argc, char **argv)
{
  const char *names = NULL, *wrong, *protocol;
  struct follow follow;
  sigset_t waiting;
  char **command;

  report_program("relay-log");
  if (parse_options(argc, argv, &names) < 0) {
    usage(stderr);
    return EXIT_USAGE;
  }
  protocol = argv[optind];
  command = parse_words(argv + optind + 1);
  if ((strcmp(protocol, "smtp") != 0 && strcmp(protocol, "pop3") != 0) || !command) {
    usage(stderr);
    return EXIT_USAGE;
  }
  wrong = fieldnames_parse(&outlet.fields, names);
  if (wrong) {
    report_fatal("-h %s: %s", names, wrong);
    return EXIT_USAGE;
  }
  outlet.write = write_out;
  outlet.arg = &writer;
  if (follow_init(&follow, strcmp(protocol, "smtp") == 0 ? FOLLOW_SMTP : FOLLOW_POP3, &outlet,
                  TRACKS_MAX) < 0) {
    report_fatal_errno("unable to start");
    return EXIT_TEMPORARY;
  }
  (void)fcntl(0, F_SETPIPE_SZ, INPUT_SIZE); /* if it is a pipe: who writes to it waits less */
  waiting = catch_signals();
  if (writer_start(&writer, command) < 0 || drop_hide() < 0 || confine_compute() < 0) {
    report_fatal_errno("unable to start %s", command[0]);
    return EXIT_TEMPORARY;
  }
  run(&follow, &waiting);
  if (input.len > 0) { /* a last line without its end */
    follow_line(&follow, input.data, input.len, input.more);
  }
  follow_end(&follow);
  outlet_flush(&outlet);
  return writer_finish(&writer) < 0 ? EXIT_TEMPORARY : EXIT_OK;
}
