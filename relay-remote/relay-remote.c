/*
 * relay-remote: the master. Forks one resolver process, and a worker whenever
 * relay-send asks for one; reaps them. Started by relay-start in the relay's
 * directory as uid relayr; fd 7 is relay-send's end of a socketpair (work.h),
 * fd 2 the log. It trusts relay-send, reads nothing from the network, and ends
 * when relay-send or the resolver does: all are started again together.
 */
#include "control.h"
#include "dns.h"
#include "drop.h"
#include "exits.h"
#include "home.h"
#include "io.h"
#include "probe.h"
#include "report.h"
#include "seqpacket.h"
#include "tls_trust.h"
#include "work.h"
#include "worker.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTROL_FD 7
/* How many there are is relay-send's to say. It hears of an end before it is reaped here. */
#define WORKERS_MAX (WORK_WORKERS_MAX + 1000)
#define REQUEST_MAX 64 /* bytes in a W */

static uint64_t workers;
static pid_t resolver_pid;

_Noreturn static void die(const char *what)
{
  report_fatal_errno("unable to %s", what);
  exit(EXIT_TEMPORARY);
}

_Noreturn static void usage(int status)
{
  fprintf(status == EXIT_OK ? stdout : stderr,
          "usage: relay-remote [-d DIRECTORY]\n"
          "       relay-remote [-d DIRECTORY] --check DOMAIN\n"
          "The SMTP client of relay, started by relay-start with relay-send on fd 7.\n"
          "  -d DIRECTORY     the relay's directory, which holds control/\n"
          "  --check DOMAIN   print the MXs of DOMAIN, their addresses, greetings and TLS\n"
          "  --help           this text\n");
  exit(status);
}

static void note_child(int signal_number)
{
  (void)signal_number; /* its arrival ends ppoll() */
}

/* SIGCHLD is let in only while waiting, so that none is missed. */
static void set_signals(void)
{
  struct sigaction action = {.sa_handler = note_child};
  sigset_t set;

  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  if (sigaction(SIGCHLD, &action, NULL) == -1 || sigprocmask(SIG_BLOCK, &set, NULL) == -1) {
    die("set signals");
  }
}

static void in_child(void)
{
  sigset_t set;

  signal(SIGCHLD, SIG_DFL);
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, NULL);
}

static void reap(void)
{
  int status;
  pid_t pid;

  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == resolver_pid && status == 0) {
      exit(EXIT_OK); /* its channel was closed: relay-send has ended, and so do we */
    }
    if (pid == resolver_pid) {
      report_fatal("the resolver has ended (status %d)", status);
      exit(EXIT_TEMPORARY);
    }
    workers--;
    if (WIFSIGNALED(status)) {
      report_warning("worker %ld was killed by signal %d", (long)pid, WTERMSIG(status));
    }
  }
}

static void tell(const struct buf *b, int fd)
{
  if (seqpacket_send_by(CONTROL_FD, b->data, b->len, fd, IO_FOREVER) == -1) {
    if (errno == EPIPE || errno == ECONNRESET) {
      exit(EXIT_OK); /* relay-send has ended, and so do we */
    }
    die("write to relay-send");
  }
}

static void start_resolver(const struct dns_config *config)
{
  struct buf b = BUF_INIT(64);
  int fds[2];

  if (seqpacket_pair(fds) == -1) {
    die("make a socketpair");
  }
  resolver_pid = fork();
  if (resolver_pid == -1) {
    die("fork");
  }
  if (resolver_pid == 0) {
    in_child();
    close(fds[0]);
    dns_run(fds[1], config);
  }
  close(fds[1]);
  if (netstring_put_str(&b, "Q") == -1) {
    die("tell of the resolver");
  }
  tell(&b, fds[0]);
  close(fds[0]);
  buf_free(&b);
}

static void refuse_worker(uint64_t token, const char *text)
{
  struct buf b = BUF_INIT(1024);

  if (netstring_put_str(&b, "F") == -1 || netstring_put_u64(&b, token) == -1 ||
      netstring_put_str(&b, text) == -1) {
    die("answer relay-send");
  }
  tell(&b, -1);
  buf_free(&b);
}

static void start_worker(uint64_t token)
{
  struct buf b = BUF_INIT(128);
  int fds[2];
  pid_t pid;

  if (workers >= WORKERS_MAX) {
    refuse_worker(token, "more delivery processes than there can be");
    return;
  }
  if (seqpacket_pair(fds) == -1) {
    refuse_worker(token, strerror(errno));
    return;
  }
  pid = fork();
  if (pid == 0) {
    in_child();
    worker_run(fds[1]);
  }
  close(fds[1]);
  if (pid == -1) {
    refuse_worker(token, strerror(errno));
  } else {
    workers++;
    if (netstring_put_str(&b, "W") == -1 || netstring_put_u64(&b, token) == -1 ||
        netstring_put_u64(&b, (uint64_t)pid) == -1) {
      die("answer relay-send");
    }
    tell(&b, fds[0]);
  }
  close(fds[0]);
  buf_free(&b);
}

/* 0, or -1 when relay-send is gone. */
static int take_request(void)
{
  char data[REQUEST_MAX];
  struct netstring_reader r;
  uint64_t token = 0;
  char verb = 0;
  ssize_t n;

  n = seqpacket_recv(CONTROL_FD, data, sizeof(data), NULL);
  if (n == -1 && (errno == EAGAIN || errno == EINTR || errno == EMSGSIZE)) {
    return 0;
  }
  if (n <= 0) {
    return -1;
  }
  netstring_open(&r, data, (size_t)n);
  netstring_get_char(&r, &verb);
  netstring_get_u64(&r, UINT64_MAX, &token);
  if (netstring_end(&r) == -1 || verb != 'W') {
    report_warning("relay-send asked for something unknown");
    return 0;
  }
  start_worker(token);
  return 0;
}

static void serve(void)
{
  struct pollfd p = {.fd = CONTROL_FD, .events = POLLIN};
  sigset_t none;
  int n;

  sigemptyset(&none);
  for (;;) {
    n = ppoll(&p, 1, NULL, &none);
    if (n == -1 && errno != EINTR) {
      die("wait");
    }
    reap();
    if (n > 0 && take_request() == -1) {
      return;
    }
  }
}

static void check_control(enum control_result result)
{
  if (result == CONTROL_MALFORMED || result == CONTROL_UNREADABLE) {
    report_fatal("%s", control_error());
    exit(result == CONTROL_MALFORMED ? EXIT_USAGE : EXIT_TEMPORARY);
  }
}

int main(int argc, char **argv)
{
  static const struct option options[] = {
    {"check", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
  const char *directory = NULL, *domain = NULL;
  static struct probe_control control;
  int c;

  report_program("relay-remote");
  while ((c = getopt_long(argc, argv, "+d:", options, NULL)) != -1) {
    switch (c) {
    case 'd':
      directory = optarg;
      break;
    case 'c':
      domain = optarg;
      break;
    case 'h':
      usage(EXIT_OK);
    default:
      usage(EXIT_USAGE);
    }
  }
  if (optind != argc) {
    usage(EXIT_USAGE);
  }
  if (home_enter(directory) == -1) {
    die("enter the relay's directory");
  }
  check_control(dns_config_read(&control.dns));
  check_control(tls_trust_load());
  if (domain) {
    tlspolicy_init(&control.policies);
    smtproutes_init(&control.routes);
    check_control(tlspolicy_read(&control.policies));
    check_control(smtproutes_read(&control.routes));
    return probe_domain(domain, &control);
  }
  drop_raise_nofile();
  if (io_reserve_standard_fds() == -1 || io_set_cloexec(CONTROL_FD) == -1 || drop_hide() == -1) {
    die("set up (is relay-send on fd 7?)");
  }
  set_signals();
  start_resolver(&control.dns);
  serve();
  return EXIT_OK;
}
