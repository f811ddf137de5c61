/*
 * tarpit: a slow MX, or many, for the experiments of bench/. One thread, a
 * fixed amount of memory for each connection. Logs every connection and
 * message with CLOCK_MONOTONIC microseconds; counts are printed at its end.
 */
#include "tarpit.h"

#include "exits.h"
#include "report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define USAGE                                                                                      \
  "usage: tarpit [options] ADDRESS:PORT ...    listens there until SIGTERM\n"                      \
  "  -d MS       delay before each reply to a greeting, STARTTLS, MAIL, RCPT, DATA, final dot\n"   \
  "  -D STEP=MS  delay of one step: banner helo starttls mail rcpt data dot rset quit\n"           \
  "  -c N        the most connections at once from one client address, at each ADDRESS:PORT;\n"    \
  "              one too many gets 421 in its banner and is closed\n"                              \
  "  -m          ... gets a banner, and 421 when it says MAIL\n"                                   \
  "  -r N        the most messages a second from one client address: then 450 to MAIL\n"           \
  "  -P          does not offer PIPELINING\n"                                                      \
  "  -T FILE     offers STARTTLS, TLS 1.2 and 1.3; FILE: certificate, chain and key, in PEM\n"     \
  "  -R          ... and resumes no session\n"                                                     \
  "  -l FILE     log: TIME listen LISTENER -    for each, when all listen\n"                       \
  "                   TIME accept|close|refuse LISTENER CLIENT OPEN\n"                             \
  "                   TIME limit LISTENER CLIENT OPEN\n"                                           \
  "                   TIME message LISTENER CLIENT TOKEN BYTES\n"                                  \
  "                   TIME tls LISTENER CLIENT VERSION full|resumed\n"                             \
  "              TIME: microseconds, CLOCK_MONOTONIC; OPEN: connections of that client there\n"    \
  "              afterwards; TOKEN: the message's X-Token field, or -\n"                           \
  "stdout at the end, a line each: LISTENER CLIENT connections= peak= refused= messages=\n"        \
  "limited= tls= resumed=, with CLIENT * for all of a listener; tls: handshakes, resumed: of "     \
  "them\n"

#define DELAY_MAX 3600000  /* ms */
#define CLIENTS_MAX 4096   /* addresses at one listener that are counted one by one */
#define ACCEPTS_A_TURN 256 /* so that sessions get their turn */
#define BACKLOG 4096

struct listener {
  struct loop_watch watch;
  bool waiting; /* connections may be waiting */
  char name[32];
  struct client *clients;
  unsigned client_count;
  struct counts counts;
};

struct settings settings = {.pipelining = true};
static struct listener *listeners;
static size_t listener_count;
static const char *const step_name[STEPS] = {"banner", "helo", "starttls", "mail", "rcpt",
                                             "data",   "dot",  "rset",     "quit"};

/* --- counts and limits */

static struct client *client_of(struct listener *l, uint32_t address)
{
  struct client *c;

  for (c = l->clients; c; c = c->next) {
    if (c->address == address) {
      return c;
    }
  }
  if (l->client_count++ == CLIENTS_MAX || !(c = calloc(1, sizeof *c))) {
    report_fatal("too many client addresses at %s", l->name);
    exit(EXIT_TEMPORARY);
  }
  c->listener = l;
  c->address = address;
  inet_ntop(AF_INET, &address, c->name, sizeof c->name);
  c->next = l->clients;
  l->clients = c;
  return c;
}

static void log_client(const char *what, const struct client *c)
{
  tool_log("%lld %s %s %s %u", (long long)tool_now(), what, c->listener->name, c->name,
           c->counts.now);
}

static void opened(struct counts *counts)
{
  counts->connections++;
  if (++counts->now > counts->peak) {
    counts->peak = counts->now;
  }
}

void client_closed(struct client *c)
{
  c->counts.now--;
  c->listener->counts.now--;
  log_client("close", c);
}

void client_refused(struct client *c)
{
  c->counts.refused++;
  c->listener->counts.refused++;
  log_client("refuse", c);
}

/* A second's worth may come at once. */
bool client_may_send(struct client *c)
{
  int64_t now = tool_now();

  if (settings.rate == 0) {
    return true;
  }
  if (c->allowed < now) {
    c->allowed = now;
  }
  if (c->allowed + 1000000 / settings.rate > now + 1000000) {
    c->counts.limited++;
    c->listener->counts.limited++;
    log_client("limit", c);
    return false;
  }
  c->allowed += 1000000 / settings.rate;
  return true;
}

void client_message(struct client *c, const char *token, uint64_t bytes)
{
  c->counts.messages++;
  c->listener->counts.messages++;
  tool_log("%lld message %s %s %s %llu", (long long)tool_now(), c->listener->name, c->name,
           token[0] ? token : "-", (unsigned long long)bytes);
}

void client_secure(struct client *c, const char *version, bool resumed)
{
  c->counts.tls++;
  c->listener->counts.tls++;
  c->counts.resumed += resumed;
  c->listener->counts.resumed += resumed;
  tool_log("%lld tls %s %s %s %s", (long long)tool_now(), c->listener->name, c->name, version,
           resumed ? "resumed" : "full");
}

/* --- listeners */

static void accepted(struct listener *l, int fd, const struct sockaddr_in *peer)
{
  struct client *c = client_of(l, peer->sin_addr.s_addr);
  bool over = settings.ceiling > 0 && c->counts.now >= settings.ceiling;
  int one = 1;

  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (over && !settings.late) {
    client_refused(c);
    send(fd, TOO_MANY, strlen(TOO_MANY), MSG_NOSIGNAL);
    close(fd);
    return;
  }
  opened(&c->counts);
  opened(&l->counts);
  log_client("accept", c);
  session_open(fd, c, over);
}

/*
 * At the end of a turn, after the sessions' own events: a connection that has
 * said QUIT is not counted against the one that follows it.
 */
static void accept_all(void)
{
  for (size_t i = 0; i < listener_count; i++) {
    struct listener *l = &listeners[i];
    for (int n = 0; l->waiting && n < ACCEPTS_A_TURN; n++) {
      struct sockaddr_in peer;
      socklen_t len = sizeof peer;
      int fd = accept4(l->watch.fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd != -1) {
        accepted(l, fd, &peer);
      } else if (errno == EAGAIN) {
        l->waiting = false;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        tool_die("accept a connection");
      }
    }
    l->waiting = false; /* the watch is level-triggered: what is left comes again */
  }
}

static void listener_ready(struct loop_watch *watch, uint32_t events)
{
  (void)events;
  ((struct listener *)watch)->waiting = true; /* the watch is its first member */
}

static void listen_at(struct listener *l, const char *text)
{
  struct sockaddr_in address = tool_address(text);
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  snprintf(l->name, sizeof l->name, "%s", text);
  if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == -1 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) == -1 || listen(fd, BACKLOG) == -1) {
    report_fatal_errno("unable to listen on %s", text);
    exit(EXIT_TEMPORARY);
  }
  l->watch = (struct loop_watch){fd, EPOLLIN, listener_ready};
  tool_watch(&l->watch);
}

/* --- start and end */

static void print_counts(const char *listener, const char *client, const struct counts *c)
{
  printf("%s %s connections=%lu peak=%u refused=%lu messages=%lu limited=%lu tls=%lu resumed=%lu\n",
         listener, client, c->connections, c->peak, c->refused, c->messages, c->limited, c->tls,
         c->resumed);
}

static void set_step(const char *text)
{
  size_t len = strcspn(text, "=");

  for (int i = 0; i < STEPS && text[len]; i++) {
    if (strlen(step_name[i]) == len && memcmp(step_name[i], text, len) == 0) {
      settings.delay[i] = 1000 * (int64_t)tool_number(step_name[i], text + len + 1, DELAY_MAX);
      return;
    }
  }
  report_fatal("-D: not STEP=MS: %s", text);
  exit(EXIT_USAGE);
}

static void set_delay(const char *text)
{
  for (int i = BANNER; i <= DOT; i++) {
    settings.delay[i] = 1000 * (int64_t)tool_number("-d", text, DELAY_MAX);
  }
}

static void options(int argc, char **argv)
{
  const char *pem = NULL;
  bool resume = true;
  int option;

  while ((option = getopt(argc, argv, "d:D:c:mr:PT:Rl:")) != -1) {
    switch (option) {
    case 'd':
      set_delay(optarg);
      break;
    case 'D':
      set_step(optarg);
      break;
    case 'c':
      settings.ceiling = (unsigned)tool_number("-c", optarg, 100000);
      break;
    case 'm':
      settings.late = true;
      break;
    case 'r':
      settings.rate = (unsigned)tool_number("-r", optarg, 1000000);
      break;
    case 'P':
      settings.pipelining = false;
      break;
    case 'T':
      pem = optarg;
      break;
    case 'R':
      resume = false;
      break;
    case 'l':
      tool_log_open(optarg);
      break;
    default:
      tool_usage(USAGE);
    }
  }
  if (optind == argc || (!pem && !resume)) {
    tool_usage(USAGE);
  }
  if (pem) {
    tls_prepare(pem, resume);
    settings.tls = true;
  }
}

int main(int argc, char **argv)
{
  report_program("tarpit");
  options(argc, argv);
  tool_raise_files();
  tool_start(accept_all);
  listener_count = (size_t)(argc - optind);
  listeners = calloc(listener_count, sizeof *listeners);
  if (!listeners) {
    tool_die("remember the listeners");
  }
  for (size_t i = 0; i < listener_count; i++) {
    listen_at(&listeners[i], argv[optind + (int)i]);
    tool_log("%lld listen %s -", (long long)tool_now(), listeners[i].name);
  }
  tool_run();
  for (size_t i = 0; i < listener_count; i++) {
    for (const struct client *c = listeners[i].clients; c; c = c->next) {
      print_counts(listeners[i].name, c->name, &c->counts);
    }
    print_counts(listeners[i].name, "*", &listeners[i].counts);
  }
  return EXIT_OK;
}
