#include "authd_serve.h"

#include "authd_ask.h"
#include "authd_clients.h"
#include "channel.h"
#include "clock.h"
#include "exits.h"
#include "ip.h"
#include "loglines.h"
#include "report.h"
#include "seqpacket.h"
#include "tls_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define REST_MS 1000
#define SWEEP_MS 60000
#define REQUEST_MS 5000 /* for the request to come */
#define STALLED_MS 10   /* the root half's socket is full: until the next try */

enum stage { NEW, WAITING, CHECKED, HELD_BACK, ENDED };

/* An attempt; it outlives its connection, so that going away saves nobody a delay. */
struct attempt {
  struct channel channel;
  struct attempt *next;
  enum stage stage;
  int64_t until;  /* the stage ends */
  pid_t smtpd;    /* who asks */
  uint32_t check; /* its number, 0: none */
  struct authd_client *client;
  struct authd_request request;
};

static struct {
  const struct authd_config *config;
  struct loop loop;
  struct loop_watch listener;
  struct channel root;
  uint32_t number; /* of the last check */
  int status;      /* to exit with */
  struct loglines log;
  struct authd_clients clients;
  struct attempt *first, **last; /* in the order of their coming */
  unsigned attempts, checks;
  bool listening, stalled;
  int64_t now, rest_until, sweep;
} a;

static void disconnect(struct attempt *t)
{
  channel_close(&t->channel);
}

static void wipe_secrets(struct authd_request *q)
{
  tls_wipe(q->password, sizeof q->password);
  tls_wipe(q->challenge, sizeof q->challenge);
  tls_wipe(q->response, sizeof q->response);
}

static void answer(struct attempt *t, char verb, const char *text)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  if (t->channel.watch.fd != -1 && authd_put_answer(&b, verb, text) == 0 &&
      channel_send(&t->channel, b.data, b.len, -1) == 0) {
    channel_flush(&t->channel);
  }
  buf_free(&b);
  disconnect(t);
  t->stage = ENDED;
}

static void log_end(const struct attempt *t, const char *result, const char *more)
{
  loglines_printf(&a.log, '=', "auth result=%s user=%s client=%s smtpd=%d method=%s%s", result,
                  t->request.user, t->request.client, (int)t->smtpd,
                  t->request.verb == 'P' ? "password" : "cram-md5", more);
}

static void not_now(struct attempt *t, const char *why)
{
  char more[160];

  snprintf(more, sizeof more, " reason=\"%s\"", why);
  log_end(t, "unknown", more);
  answer(t, 'T', why);
}

static void refused(struct attempt *t)
{
  int64_t delay = authd_client_failed(t->client, a.now);
  char more[60];

  snprintf(more, sizeof more, " failures=%u delay=%llds", t->client->failures,
           (long long)delay / 1000);
  log_end(t, "no", more);
  t->stage = HELD_BACK;
  t->until = a.now + delay;
}

/* --- checks */

/* Never 0, and never one that is under way: there are 2^32 of them. */
static uint32_t next_number(void)
{
  a.number += a.number == UINT32_MAX ? 2 : 1;
  return a.number;
}

/* Not by channel_send(), which makes one more copy of the password. */
static int hand_over(struct attempt *t)
{
  struct authd_ask ask;
  int result = -1;

  errno = EMSGSIZE;
  if (authd_ask_fill(&ask, &t->request, a.config->response_first)) {
    ask.number = next_number();
    result = seqpacket_send(a.root.watch.fd, &ask, sizeof ask, -1);
    t->check = ask.number;
  }
  tls_wipe(&ask, sizeof ask);
  return result;
}

static void start_check(struct attempt *t)
{
  int result = hand_over(t), saved = errno;

  if (result < 0 && saved == EAGAIN) {
    a.stalled = true;
    return;
  }
  wipe_secrets(&t->request);
  if (result < 0) {
    not_now(t, saved == EMSGSIZE ? "user name and password are too long" : strerror(saved));
    return;
  }
  a.checks++;
  t->client->busy++;
  t->stage = CHECKED;
  t->until = INT64_MAX; /* the root half sees to that */
}

/* It could not be checked; the reason. */
static const char *failure(const struct authd_told *told)
{
  if (told->outcome == AUTHD_LATE) {
    return "checking took too long";
  }
  if (told->outcome == AUTHD_NOT_STARTED) {
    return strerror(told->status);
  }
  if (WIFEXITED(told->status)) {
    report_warning("%s ended with exit status %d", a.config->program, WEXITSTATUS(told->status));
  } else {
    report_warning("%s was killed by signal %d", a.config->program, WTERMSIG(told->status));
  }
  return "the checking program failed";
}

static void checked(struct attempt *t, const struct authd_told *told)
{
  bool exited = told->outcome == AUTHD_ENDED && WIFEXITED(told->status);

  a.checks--;
  t->check = 0;
  if (exited && WEXITSTATUS(told->status) == 1) {
    refused(t); /* stays busy until the answer is given */
    return;
  }
  if (exited && WEXITSTATUS(told->status) == 0) {
    log_end(t, "yes", "");
    answer(t, '+', "");
  } else {
    not_now(t, failure(told));
  }
  t->client->busy--;
}

static void root_datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  struct authd_told told;
  struct attempt *t;

  (void)c;
  (void)passed_fd; /* the root half sends none */
  if (len != sizeof told) {
    report_fatal("garbled answer from the root half");
    a.status = EXIT_TEMPORARY;
    a.loop.stop = true;
    return;
  }
  memcpy(&told, data, sizeof told);
  a.now = clock_monotonic_ms();
  for (t = a.first; t && t->check != told.number; t = t->next) {
  }
  if (t && told.number != 0) {
    checked(t, &told);
  }
}

/* The end: it has said why, if there is more to say than TERM. */
static void root_closed(struct channel *c)
{
  channel_close(c);
  a.loop.stop = true;
}

/* The stage's time is over. */
static void time_out(struct attempt *t)
{
  switch (t->stage) {
  case NEW:
    disconnect(t);
    t->stage = ENDED;
    break;
  case WAITING:
    wipe_secrets(&t->request);
    not_now(t, "too many attempts before it");
    break;
  case HELD_BACK:
    answer(t, '-', "");
    t->client->busy--;
    break;
  case CHECKED:
  case ENDED:
    break;
  }
}

/* --- requests */

/* Failures are counted by IPv4 address or IPv6 /64, as tenants are. */
static struct authd_client *client_of(const char *address)
{
  char name[IP_TENANT_SIZE];
  struct ip ip;

  if (ip_parse(address, strlen(address), &ip) < 0) {
    return authd_clients_get(&a.clients, address, a.now);
  }
  ip_tenant(&ip, name);
  return authd_clients_get(&a.clients, name, a.now);
}

static void datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  struct attempt *t = (struct attempt *)c;

  a.now = clock_monotonic_ms();
  if (passed_fd != -1) {
    close(passed_fd);
  }
  if (t->stage != NEW || authd_get_request(data, len, &t->request) < 0) {
    report_warning("garbled request from process %d", (int)t->smtpd);
    disconnect(t); /* what is being checked or held back goes on without it */
    t->stage = t->stage == NEW || t->stage == WAITING ? ENDED : t->stage;
  } else {
    t->client = client_of(t->request.client);
    t->stage = t->client ? WAITING : ENDED;
    t->until = a.now + AUTHD_WAIT_MS;
  }
}

static void closed(struct channel *c)
{
  struct attempt *t = (struct attempt *)c;

  disconnect(t);
  if (t->stage == NEW || t->stage == WAITING) {
    t->stage = ENDED;
  }
}

static bool welcome(int fd)
{
  struct attempt *t = calloc(1, sizeof *t);
  uid_t uid;
  gid_t gid;

  if (!t || seqpacket_peer(fd, &t->smtpd, &uid, &gid) < 0) {
    free(t);
    return false;
  }
  t->channel.datagram = datagram;
  t->channel.closed = closed;
  if (channel_open(&t->channel, &a.loop, fd) < 0) {
    free(t);
    return false;
  }
  t->until = a.now + REQUEST_MS;
  *a.last = t;
  a.last = &t->next;
  a.attempts++;
  return true;
}

static void accept_some(struct loop_watch *watch, uint32_t events)
{
  (void)events;
  a.now = clock_monotonic_ms();
  for (int i = 0; i < ACCEPTS_PER_TURN && a.attempts < AUTHD_PEERS_MAX; i++) {
    int fd = seqpacket_accept(watch->fd);

    if (fd == -1) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        report_warning_errno("unable to accept a connection");
        a.rest_until = a.now + REST_MS;
      }
      return;
    }
    if (!welcome(fd)) {
      close(fd);
    }
  }
}

/* --- the turn */

/* Does what is due for each attempt; returns when the next thing is. */
static int64_t walk(void)
{
  struct attempt **link = &a.first, *t;
  int64_t next = INT64_MAX;

  a.stalled = false;
  while ((t = *link)) {
    if (t->stage == WAITING && !a.stalled && a.checks < a.config->checks_max &&
        authd_client_may(t->client)) {
      start_check(t);
    }
    if (t->until <= a.now) {
      time_out(t);
    }
    if (t->stage != ENDED) {
      next = t->until < next ? t->until : next;
      link = &t->next;
      continue;
    }
    *link = t->next;
    if (t->client) {
      authd_clients_put(&a.clients, t->client, a.now);
    }
    wipe_secrets(&t->request);
    free(t);
    a.attempts--;
  }
  a.last = link;
  return next;
}

static void listen_or_not(void)
{
  bool want = a.attempts < AUTHD_PEERS_MAX && a.now >= a.rest_until;

  if (want && !a.listening) {
    a.listening = loop_add(&a.loop, &a.listener) == 0;
  } else if (!want && a.listening) {
    loop_remove(&a.loop, &a.listener);
    a.listening = false;
  }
}

static int before_wait(void *arg)
{
  int64_t next, most;

  (void)arg;
  a.now = clock_monotonic_ms();
  if (a.now >= a.sweep) {
    authd_clients_sweep(&a.clients, a.now);
    a.sweep = a.now + SWEEP_MS;
  }
  next = walk();
  listen_or_not();
  loglines_flush(&a.log);
  most = a.stalled ? STALLED_MS : a.listening ? SWEEP_MS : REST_MS;
  return (int)(next - a.now < most ? (next > a.now ? next - a.now : 0) : most);
}

static void wipe_all(void)
{
  for (struct attempt *t = a.first; t; t = t->next) {
    wipe_secrets(&t->request);
  }
}

int authd_serve(int listener, int root, const struct authd_config *config)
{
  a.config = config;
  a.last = &a.first;
  a.now = clock_monotonic_ms();
  a.status = EXIT_OK;
  authd_clients_init(&a.clients);
  loglines_init(&a.log, 2, false);
  a.listener = (struct loop_watch){.fd = listener, .events = EPOLLIN, .ready = accept_some};
  a.root.datagram = root_datagram;
  a.root.closed = root_closed;
  if (loop_init(&a.loop) < 0 || channel_open(&a.root, &a.loop, root) < 0) {
    report_fatal_errno("unable to make the event loop");
    return EXIT_TEMPORARY;
  }
  a.loop.before_wait = before_wait;
  if (loop_run(&a.loop) < 0) {
    report_fatal_errno("unable to wait for events");
    a.status = EXIT_TEMPORARY;
  }
  wipe_all();
  return a.status;
}
