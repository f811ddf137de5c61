#include "queue_client.h"

#include "clock.h"
#include "queue_big.h"
#include "queue_submission.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define ACCEPT_REST_MS 1000

static const void *holder_key(const void *item, size_t *len)
{
  const struct holder *h = item;

  *len = strlen(h->name);
  return h->name;
}

static struct holder *holder_get(struct queue *q, const char *name)
{
  struct holder *h = hash_find(&q->holders, name, strlen(name));
  size_t size = strlen(name) + 1;

  if (h) {
    return h;
  }
  h = calloc(1, sizeof(*h) + size);
  if (!h) {
    return NULL;
  }
  memcpy(h->name, name, size);
  if (hash_insert(&q->holders, h) == -1) {
    free(h);
    return NULL;
  }
  return h;
}

static void holder_leave(struct queue *q, struct client *c)
{
  struct holder *h = c->holder;

  if (!h) {
    return;
  }
  c->holder = NULL;
  h->connections--;
  q->clients -= !c->inject;
  if (h->connections == 0) {
    hash_remove(&q->holders, h->name, strlen(h->name));
    free(h);
  }
}

/* False: too many of its own already, or no memory. */
static bool holder_join(struct queue *q, struct client *c, const char *name)
{
  struct holder *h = holder_get(q, name);
  uint64_t most;

  if (!h) {
    return false;
  }
  most = c->inject ? q->config.inject_connections : q->config.connections - q->clients;
  if (h->connections >= most) {
    if (h->connections == 0) {
      hash_remove(&q->holders, h->name, strlen(h->name));
      free(h);
    }
    return false;
  }
  h->connections++;
  q->clients += !c->inject;
  c->holder = h;
  return true;
}

void client_answer(struct client *c, char verb, int code, const char *text, int passed_fd)
{
  struct intake_answer a = {.verb = verb, .code = code};
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  snprintf(a.text, sizeof(a.text), "%s", text);
  /* A lost answer is a lost connection for the peer: 451 there, never a false 250. */
  if (intake_put_answer(&b, &a) == -1) {
    if (passed_fd != -1) {
      close(passed_fd);
    }
  } else if (channel_send(&c->channel, b.data, b.len, passed_fd) == 0) {
    channel_flush(&c->channel);
  }
  buf_free(&b);
}

void client_close(struct client *c)
{
  commit_expect_no_more(c->queue, c);
  if (c->submission) {
    submission_orphan(c->submission);
  }
  if (c->big[0]) {
    big_forget(c->queue, c->big);
  }
  c->queue->memory -= c->memory;
  holder_leave(c->queue, c);
  channel_close(&c->channel);
  free(c);
}

static void hello(struct client *c, const struct intake_request *r)
{
  struct queue *q = c->queue;

  if (!envelope_tenant_valid(r->tenant, strlen(r->tenant))) {
    client_close(c);
    return;
  }
  holder_leave(q, c);
  snprintf(c->client, sizeof(c->client), "%s", r->client);
  if (holder_join(q, c, r->tenant)) {
    commit_expect(q, c);
    client_answer(c, '+', 220, "", -1);
  } else {
    client_answer(c, '-', 421, "4.7.0 too many connections from you", -1);
  }
}

/* P. One budget over all, so that big messages in memory are bounded whoever sends them. */
static void promise_memory(struct client *c, uint64_t bytes)
{
  struct queue *q = c->queue;

  q->memory -= c->memory;
  c->memory = 0;
  if (bytes > q->config.through_bytes || bytes > q->config.through_memory - q->memory) {
    client_answer(c, '-', 452, "4.3.1 too big to be kept in memory now", -1);
    return;
  }
  q->memory += bytes;
  c->memory = bytes;
  client_answer(c, '+', 250, "", -1);
}

static void datagram(struct channel *channel, const char *data, size_t len, int passed_fd)
{
  struct client *c = CONTAINER(channel, struct client, channel);
  struct intake_request r;
  bool good = intake_get_request(data, len, &r) == 0 && !c->submission;

  if (good && r.verb == 'S') {
    /* Exactly one of fd and name; and the name is its own file's, not a neighbour's. */
    good = (passed_fd != -1) != (r.name[0] != '\0');
    good = good && (r.name[0] == '\0' || strcmp(r.name, c->big) == 0);
  } else if (good) {
    good = passed_fd == -1 && (r.verb == 'B' || !c->inject);
  }
  if (!good) {
    if (passed_fd != -1) {
      close(passed_fd);
    }
    client_close(c);
    return;
  }
  switch (r.verb) {
  case 'H':
    hello(c, &r);
    break;
  case 'B':
    big_open(c);
    break;
  case 'P':
    promise_memory(c, r.content_len);
    break;
  default:
    commit_expect_no_more(c->queue, c);
    submission_receive(c, &r, passed_fd);
  }
}

static void closed(struct channel *channel)
{
  client_close(CONTAINER(channel, struct client, channel));
}

static int open_client(struct queue *q, int fd, bool inject)
{
  struct client *c = calloc(1, sizeof(*c));
  gid_t gid;

  if (!c) {
    close(fd);
    return -1;
  }
  c->queue = q;
  c->inject = inject;
  c->channel.datagram = datagram;
  c->channel.closed = closed;
  if (seqpacket_peer(fd, &c->pid, &c->uid, &gid) == -1 ||
      channel_open(&c->channel, &q->loop, fd) == -1) {
    close(fd);
    free(c);
    return -1;
  }
  if (inject) {
    snprintf(c->client, sizeof(c->client), "uid %lu", (unsigned long)c->uid);
    if (!holder_join(q, c, c->client)) {
      client_close(c); /* to be tried again later, as sendmail's callers do */
    }
  }
  return 0;
}

/* Without a free descriptor a listener stays ready: looking again at once would be all that
 * this process does. */
static void rest(struct queue *q)
{
  loop_change(&q->loop, &q->intake, 0);
  loop_change(&q->loop, &q->inject, 0);
  q->accept_again = clock_monotonic_ms() + ACCEPT_REST_MS;
}

int client_run(struct queue *q, int64_t now)
{
  if (q->accept_again == 0) {
    return -1;
  }
  if (now < q->accept_again) {
    return (int)(q->accept_again - now);
  }
  q->accept_again = 0;
  loop_change(&q->loop, &q->intake, EPOLLIN);
  loop_change(&q->loop, &q->inject, EPOLLIN);
  return -1;
}

static void accept_some(struct queue *q, struct loop_watch *watch, bool inject)
{
  int fd, i;

  for (i = 0; i < ACCEPTS_PER_TURN; i++) {
    fd = seqpacket_accept(watch->fd);
    if (fd == -1) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        report_warning_errno("unable to accept a connection");
        rest(q);
      }
      return;
    }
    open_client(q, fd, inject);
  }
}

static void intake_ready(struct loop_watch *watch, uint32_t events)
{
  (void)events;
  accept_some(CONTAINER(watch, struct queue, intake), watch, false);
}

static void inject_ready(struct loop_watch *watch, uint32_t events)
{
  (void)events;
  accept_some(CONTAINER(watch, struct queue, inject), watch, true);
}

int client_listen(struct queue *q, int intake_fd, int inject_fd)
{
  hash_init(&q->holders, holder_key);
  q->intake = (struct loop_watch){.fd = intake_fd, .events = EPOLLIN, .ready = intake_ready};
  q->inject = (struct loop_watch){.fd = inject_fd, .events = EPOLLIN, .ready = inject_ready};
  if (loop_add(&q->loop, &q->intake) == -1) {
    return -1;
  }
  return loop_add(&q->loop, &q->inject);
}
