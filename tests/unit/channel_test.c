#include "channel.h"

#include "check.h"
#include "io.h"
#include "memfd.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Everything the callbacks of a test see and do. */
static struct {
  struct loop loop;
  struct channel *flushed[2];
  int turns, max_turns;
  int datagrams, fds, closed, drained;
  size_t last_len;
  char order[64];
  bool close_at_once, free_at_once, pause_at_once;
  struct channel *victim;
} t;

static int open_fds(void)
{
  int fd, n = 0;

  for (fd = 0; fd < 300; fd++) {
    n += fcntl(fd, F_GETFD) != -1;
  }
  return n;
}

static int before_wait(void *arg)
{
  int i;

  (void)arg;
  for (i = 0; i < 2; i++) {
    if (t.flushed[i]) {
      channel_flush(t.flushed[i]);
    }
  }
  if (++t.turns > t.max_turns) {
    t.loop.stop = true;
  }
  return 5;
}

static void on_datagram(struct channel *c, const char *data, size_t len, int passed_fd)
{
  if (t.datagrams < (int)sizeof(t.order) - 1) {
    t.order[t.datagrams] = data[0];
  }
  t.datagrams++;
  t.last_len = len;
  if (passed_fd != -1) {
    t.fds++;
    close(passed_fd);
  }
  if (t.victim) {
    channel_close(t.victim);
    free(t.victim);
    t.victim = NULL;
  }
  if (t.pause_at_once) {
    channel_pause(c, true);
  }
  if (t.close_at_once) {
    channel_close(c);
    if (t.free_at_once) {
      memset(c, 0x5a, sizeof(*c));
      free(c);
    }
  }
}

static void on_closed(struct channel *c)
{
  t.closed++;
  channel_close(c);
}

static void on_drained(struct channel *c)
{
  (void)c;
  t.drained++;
}

/* A fresh loop with a channel at one end of a pair; the other end is *peer. */
static struct channel *begin(int *peer)
{
  struct channel *c = calloc(1, sizeof(*c));
  int s[2];

  memset(&t, 0, sizeof(t));
  CHECK_INT(loop_init(&t.loop), 0);
  t.loop.before_wait = before_wait;
  CHECK_INT(seqpacket_pair(s), 0);
  *c = (struct channel){.datagram = on_datagram, .closed = on_closed, .drained = on_drained};
  CHECK_INT(channel_open(c, &t.loop, s[0]), 0);
  *peer = s[1];
  t.flushed[0] = c;
  return c;
}

static void run(int turns)
{
  t.turns = 0;
  t.max_turns = turns;
  t.loop.stop = false;
  CHECK_INT(loop_run(&t.loop), 0);
}

static void end(struct channel *c, int peer)
{
  if (c) {
    channel_close(c);
    channel_close(c); /* twice is harmless */
    free(c);
  }
  close(peer);
  loop_free(&t.loop);
}

static void test_both_ways(void)
{
  char data[100];
  int peer, got, i, before;
  struct channel *c = begin(&peer);
  int fd = memfd_make("x");

  before = open_fds();
  for (i = 0; i < 100; i++) {
    data[0] = (char)('a' + i % 26);
    CHECK_INT(channel_send(c, data, (size_t)i + 1, i % 3 == 0 ? dup(fd) : -1), 0);
  }
  CHECK(!channel_empty(c)); /* 96 went by themselves */
  run(1);
  CHECK(channel_empty(c));
  for (i = 0; i < 100; i++) {
    CHECK_INT(seqpacket_recv(peer, data, sizeof(data), &got), i + 1);
    CHECK_INT(data[0], 'a' + i % 26);
    CHECK_INT(got != -1, i % 3 == 0);
    close(got);
  }
  CHECK_INT(open_fds(), before);
  for (i = 0; i < 30; i++) {
    data[0] = (char)('A' + i % 26);
    CHECK_INT(seqpacket_send(peer, data, (size_t)i + 1, i % 2 ? fd : -1), 0);
  }
  run(1);
  CHECK_INT(t.datagrams, 30);
  CHECK_INT(t.fds, 15);
  CHECK_STR(t.order, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCD");
  CHECK_INT(channel_send(c, data, 0, dup(fd)), -1);
  CHECK_INT(channel_send(c, data, SEQPACKET_MAX + 1, dup(fd)), -1);
  CHECK_INT(open_fds(), before);
  close(fd);
  end(c, peer);
}

static void test_bound(void)
{
  static char data[SEQPACKET_MAX];
  int peer, sent = 0, got = 0, fd, before;
  struct channel *c = begin(&peer);

  fd = memfd_make("x");
  while (!channel_full(c)) {
    CHECK_INT(channel_send(c, &sent, sizeof(sent), -1), 0);
    sent++;
  }
  CHECK(c->queued == CHANNEL_QUEUE_DATAGRAMS);
  CHECK(c->watch.events & EPOLLOUT);
  CHECK(!channel_stalled(c));
  before = open_fds();
  while (channel_send(c, &sent, sizeof(sent), -1) == 0) {
    sent++;
  }
  CHECK_INT(errno, ENOBUFS);
  CHECK_INT(c->queued, 2 * CHANNEL_QUEUE_DATAGRAMS);
  CHECK_INT(channel_send(c, &sent, sizeof(sent), dup(fd)), -1);
  CHECK_INT(open_fds(), before);
  CHECK_INT(t.drained, 0);
  io_set_nonblocking(peer);
  while (got < sent) {
    int number;
    while (seqpacket_recv(peer, &number, sizeof(number), NULL) > 0) {
      check_int(number, got++, __FILE__, __LINE__, "order");
    }
    if (got < sent) {
      run(1);
    }
  }
  run(1);
  CHECK_INT(t.drained, 1);
  CHECK(channel_empty(c) && !(c->watch.events & EPOLLOUT));
  for (got = 0; !channel_full(c); got++) {
    CHECK_INT(channel_send(c, data, sizeof(data), -1), 0);
  }
  CHECK(c->queued_bytes >= CHANNEL_QUEUE_BYTES && got < 200);
  close(fd);
  end(c, peer);
}

/* A bad datagram ends the peer, with no descriptor left behind. */
static void test_bad(void)
{
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
  } control = {.space = {0}};
  static char data[SEQPACKET_MAX + 1];
  struct iovec iov = {.iov_base = data, .iov_len = 3};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  int peer, before, kind, fds[2];
  struct channel *c;

  for (kind = 0; kind < 2; kind++) {
    c = begin(&peer);
    fds[0] = fds[1] = memfd_make("x");
    before = open_fds();
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(kind ? sizeof(fds) : sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
    message.msg_control = &control;
    message.msg_controllen = control.header.cmsg_len;
    iov.iov_len = kind ? 3 : sizeof(data);
    data[0] = '1';
    CHECK_INT(seqpacket_send(peer, data, 1, -1), 0);
    CHECK_INT(sendmsg(peer, &message, 0), iov.iov_len);
    CHECK_INT(seqpacket_send(peer, data, 1, fds[0]), 0); /* in the same batch, behind it */
    run(2);
    CHECK_INT(t.datagrams, 1);
    CHECK_INT(t.closed, 1);
    CHECK_INT(open_fds(), before - 1);
    close(fds[0]);
    end(c, peer);
  }
}

static void test_close_in_callback(void)
{
  int peer, other[2], before = open_fds(), i;
  struct channel *c = begin(&peer), *victim;

  t.close_at_once = t.free_at_once = true;
  for (i = 0; i < 20; i++) {
    CHECK_INT(seqpacket_send(peer, "xyz", 3, peer), 0);
  }
  t.flushed[0] = NULL;
  run(2);
  CHECK_INT(t.datagrams, 1);
  CHECK_INT(t.closed, 0);
  end(NULL, peer);
  CHECK_INT(open_fds(), before);

  /* One channel's callback closes and frees another that is ready in the same turn. */
  c = begin(&peer);
  victim = calloc(1, sizeof(*victim));
  CHECK_INT(seqpacket_pair(other), 0);
  *victim = (struct channel){.datagram = on_datagram, .closed = on_closed};
  CHECK_INT(channel_open(victim, &t.loop, other[0]), 0);
  CHECK_INT(seqpacket_send(peer, "a", 1, -1), 0);
  CHECK_INT(seqpacket_send(other[1], "b", 1, -1), 0);
  t.victim = victim;
  run(2);
  /* The first one's; the victim's too only if epoll had it first, then it closed itself. */
  CHECK_INT(t.datagrams, 1);
  CHECK(t.victim == NULL);
  close(other[1]);
  end(c, peer);
  CHECK_INT(open_fds(), before);
}

static void test_end_of_file(void)
{
  int peer, i;
  struct channel *c = begin(&peer);

  /* The peer answers and dies with our requests unread: its answers come first, then closed(). */
  for (i = 0; i < 10; i++) {
    CHECK_INT(channel_send(c, "request", 7, -1), 0);
    CHECK_INT(seqpacket_send(peer, "answer", 6, -1), 0);
  }
  CHECK_INT(channel_flush(c), 0);
  close(peer);
  CHECK_INT(channel_send(c, "late", 4, dup(0)), 0);
  CHECK_INT(channel_flush(c), -1);
  CHECK_INT(channel_send(c, "later", 5, dup(0)), 0);
  CHECK(channel_empty(c));
  CHECK_INT(t.closed, 0); /* never from inside flush or send */
  run(3);
  CHECK_INT(t.datagrams, 10);
  CHECK_INT(t.closed, 1);
  CHECK_INT(channel_send(c, "x", 1, -1), -1);
  CHECK_INT(channel_flush(c), -1);
  end(c, -1);

  /* Paused: nothing is read, and a peer that goes then does not make the loop spin. */
  c = begin(&peer);
  t.pause_at_once = true;
  for (i = 0; i < 40; i++) {
    CHECK_INT(seqpacket_send(peer, "x", 1, -1), 0);
  }
  run(5);
  CHECK_INT(t.datagrams, 8);
  channel_pause(c, false);
  t.pause_at_once = false;
  run(2);
  CHECK_INT(t.datagrams, 40);
  channel_pause(c, true);
  CHECK_INT(seqpacket_send(peer, "x", 1, -1), 0);
  close(peer);
  run(2);
  CHECK_INT(t.datagrams, 41);
  CHECK_INT(t.closed, 1);
  end(c, -1);
}

static int removed_ready;
static struct loop_watch watches[2];

static void remove_both(struct loop_watch *watch, uint32_t events)
{
  (void)watch;
  (void)events;
  removed_ready++;
  loop_remove(&t.loop, &watches[0]);
  loop_remove(&t.loop, &watches[1]);
}

static void test_removed_watch(void)
{
  int p[2][2], i;

  memset(&t, 0, sizeof(t));
  CHECK_INT(loop_init(&t.loop), 0);
  t.loop.before_wait = before_wait;
  for (i = 0; i < 2; i++) {
    CHECK_INT(pipe(p[i]), 0);
    CHECK_INT(write(p[i][1], "x", 1), 1);
    watches[i] = (struct loop_watch){.fd = p[i][0], .events = EPOLLIN, .ready = remove_both};
    CHECK_INT(loop_add(&t.loop, &watches[i]), 0);
  }
  run(3);
  CHECK_INT(removed_ready, 1);
  for (i = 0; i < 2; i++) {
    close(p[i][0]);
    close(p[i][1]);
  }
  loop_free(&t.loop);
}

int main(void)
{
  int null = open("/dev/null", O_WRONLY), before = open_fds();

  report_program("channel_test");
  test_both_ways();
  test_bound();
  test_close_in_callback();
  test_end_of_file();
  test_removed_watch();
  fflush(stderr);
  int keep = dup(2); /* the warnings of test_bad() are meant */
  dup2(null, 2);
  test_bad();
  dup2(keep, 2);
  close(keep);
  CHECK_INT(open_fds(), before);
  return check_done("channel");
}
