#include "ctl_server.h"

#include "ctl_client.h"
#include "memory.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CTL_CLIENTS_MAX 32
#define CTL_REST_MS 1000 /* without a free descriptor */

static struct list_node clients;
static unsigned count;
static uint64_t last_number;
static struct loop_watch listener;
static struct timer rest;

static void client_free(struct ctl_client *c)
{
  ctl_walk_end(c);
  ctl_stat_end(c);
  ctl_end_free(c);
  channel_close(&c->channel);
  timer_clear(&c->timer);
  list_unlink(&c->all);
  buf_free(&c->b);
  free(c);
  count--;
}

static void datagram(struct channel *channel, const char *data, size_t len, int fd)
{
  struct ctl_client *c = LIST_ITEM(channel, struct ctl_client, channel);

  sched_clock();
  if (fd != -1) {
    close(fd);
  }
  if (c->working || ctl_get_request(data, len, &c->request) == -1) {
    client_free(c);
    return;
  }
  c->rows = c->changed = c->left_alone = 0;
  ctl_walk_begin(c);
}

static void closed(struct channel *channel)
{
  client_free(LIST_ITEM(channel, struct ctl_client, channel));
}

static void accept_client(struct loop_watch *watch, uint32_t events)
{
  int fd = seqpacket_accept(watch->fd), error = errno;

  (void)events;
  sched_clock();
  if (fd == -1) {
    if (error != EAGAIN && error != EINTR && error != ECONNABORTED) {
      /* The listener stays ready: looking again at once would be all that the scheduler does. */
      report_warning("unable to accept a connection of relay-ctl: %s", strerror(error));
      loop_change(&sched.loop, &listener, 0);
      timer_set(&rest, sched.now + CTL_REST_MS);
    }
    return;
  }
  if (count >= CTL_CLIENTS_MAX) {
    close(fd);
    return;
  }
  struct ctl_client *c = memory_get(sizeof *c);
  c->number = ++last_number;
  c->channel.datagram = datagram;
  c->channel.closed = closed;
  buf_init(&c->b, SEQPACKET_MAX);
  list_head_init(&c->all);
  timer_init(&c->timer, TIMER_CTL);
  if (channel_open(&c->channel, &sched.loop, fd) == -1) {
    close(fd);
    free(c);
    return;
  }
  list_link(&clients, &c->all);
  count++;
}

static void expired(struct timer *timer)
{
  if (timer == &rest) {
    loop_change(&sched.loop, &listener, EPOLLIN);
  } /* a client's has woken the loop, which goes on with every request */
}

int ctl_server_open(int fd)
{
  timer_handler(TIMER_CTL, expired);
  timer_init(&rest, TIMER_CTL);
  list_head_init(&clients);
  listener = (struct loop_watch){.fd = fd, .events = EPOLLIN, .ready = accept_client};
  return loop_add(&sched.loop, &listener);
}

/* Until all of the queue is told, an answer about it or an act on it would miss a part. */
static bool may_go_on(const struct ctl_client *c)
{
  return c->working && (sched.told || (strcmp(c->request.verb, "stat") == 0 && !c->chosen));
}

bool ctl_server_run(void)
{
  struct list_node *node = clients.next;
  bool more = false;

  while (node != &clients) {
    struct ctl_client *c = LIST_ITEM(node, struct ctl_client, all);
    node = node->next;
    if (may_go_on(c)) {
      more |= ctl_walk_step(c);
    }
    channel_flush(&c->channel);
  }
  return more;
}

/* A token is the client's number and the recipient's place in the message. */
void ctl_server_last(uint64_t token, const char *text)
{
  for (struct list_node *node = clients.next; node != &clients; node = node->next) {
    struct ctl_client *c = LIST_ITEM(node, struct ctl_client, all);
    if (c->number == token >> 32) {
      ctl_walk_last(c, (uint32_t)token, text);
      return;
    }
  }
}
