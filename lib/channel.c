#include "channel.h"

#include "io.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BATCH 32 /* datagrams to a sendmmsg(), and what may collect before one */
#define READ_BATCH 8  /* datagrams to a recvmmsg() */

struct channel_datagram {
  struct channel_datagram *next;
  size_t len;
  int fd;
  char data[];
};

union control {
  struct cmsghdr header;
  char space[CMSG_SPACE(sizeof(int))];
};

/* One for the process: a received datagram lives only as long as its callback. */
static struct {
  char data[READ_BATCH][SEQPACKET_MAX];
  union control control[READ_BATCH];
  struct iovec iov[READ_BATCH];
  struct mmsghdr message[READ_BATCH];
} in;

/*
 * The channel whose callbacks run now. channel_close() of it sets this to NULL,
 * for then it may be freed already when the callback returns.
 */
static struct channel *current;

static void datagram_free(struct channel_datagram *d)
{
  if (d->fd != -1) {
    close(d->fd);
  }
  /* It may be the secret of a session, which is to be gone when its time is over. */
  explicit_bzero(d->data, d->len);
  free(d);
}

static void remove_head(struct channel *c)
{
  struct channel_datagram *d = c->head;

  c->head = d->next;
  if (!c->head) {
    c->tail = NULL;
  }
  c->queued--;
  c->queued_bytes -= d->len;
  datagram_free(d);
}

static void drop_queue(struct channel *c)
{
  while (c->head) {
    remove_head(c);
  }
}

static bool below_half(const struct channel *c)
{
  return c->queued < CHANNEL_QUEUE_DATAGRAMS / 2 && c->queued_bytes < CHANNEL_QUEUE_BYTES / 2;
}

bool channel_full(const struct channel *c)
{
  return c->queued >= CHANNEL_QUEUE_DATAGRAMS || c->queued_bytes >= CHANNEL_QUEUE_BYTES;
}

bool channel_empty(const struct channel *c)
{
  return !c->head;
}

bool channel_stalled(const struct channel *c)
{
  return c->head && !(c->watch.events & EPOLLOUT);
}

void channel_close(struct channel *c)
{
  if (c->watch.fd == -1) {
    return;
  }
  if (current == c) {
    current = NULL;
  }
  loop_remove(c->loop, &c->watch);
  close(c->watch.fd);
  c->watch.fd = -1;
  c->watch.events = 0;
  drop_queue(c);
}

/*
 * Nothing can be sent any more. What the peer sent before it went is still
 * read; the shutdown makes sure that end of file, thus closed(), comes after it.
 */
static void break_off(struct channel *c)
{
  c->broken = true;
  drop_queue(c);
  shutdown(c->watch.fd, SHUT_RDWR);
  loop_change(c->loop, &c->watch, c->watch.events & ~(uint32_t)EPOLLOUT);
}

/* Lays out up to SEND_BATCH queued datagrams; returns how many. */
static unsigned fill_batch(const struct channel *c, struct mmsghdr *messages, struct iovec *iov,
                           union control *control)
{
  struct channel_datagram *d;
  unsigned n = 0;

  for (d = c->head; d && n < SEND_BATCH; d = d->next, n++) {
    iov[n] = (struct iovec){.iov_base = d->data, .iov_len = d->len};
    messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[n], .msg_iovlen = 1}};
    if (d->fd != -1) {
      memset(&control[n], 0, sizeof(control[n]));
      control[n].header.cmsg_level = SOL_SOCKET;
      control[n].header.cmsg_type = SCM_RIGHTS;
      control[n].header.cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(&control[n].header), &d->fd, sizeof(int));
      messages[n].msg_hdr.msg_control = &control[n];
      messages[n].msg_hdr.msg_controllen = sizeof(control[n].space);
    }
  }
  return n;
}

/* channel_flush() without the callback. */
static void send_queue(struct channel *c)
{
  struct mmsghdr messages[SEND_BATCH];
  struct iovec iov[SEND_BATCH];
  union control control[SEND_BATCH];
  uint32_t events = c->watch.events & ~(uint32_t)EPOLLOUT;
  unsigned n;
  int sent;

  while (c->head) {
    n = fill_batch(c, messages, iov, control);
    sent = sendmmsg(c->watch.fd, messages, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == -1) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN) {
        events |= EPOLLOUT;
        break;
      }
      /* Too many descriptors in flight, or no memory: the socket still polls writable,
       * so waiting for EPOLLOUT would spin. The next flush tries again. */
      if (errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM) {
        break;
      }
      break_off(c);
      return;
    }
    while (sent-- > 0) {
      remove_head(c);
    }
  }
  if (loop_change(c->loop, &c->watch, events) == -1) {
    break_off(c);
  }
}

int channel_flush(struct channel *c)
{
  if (c->watch.fd == -1 || c->broken) {
    return -1;
  }
  if (c->head && !(c->watch.events & EPOLLOUT)) {
    send_queue(c);
    if (c->broken) {
      return -1;
    }
  }
  if (c->was_full && below_half(c)) {
    c->was_full = false;
    if (c->drained) {
      c->drained(c); /* the last thing here: it may close and free c */
    }
  }
  return 0;
}

int channel_send(struct channel *c, const void *data, size_t len, int passed_fd)
{
  struct channel_datagram *d = NULL;

  if (c->watch.fd == -1) {
    errno = EPIPE;
  } else if (len == 0 || len > SEQPACKET_MAX) {
    errno = EMSGSIZE;
  } else if (c->queued >= 2 * CHANNEL_QUEUE_DATAGRAMS ||
             c->queued_bytes + len > 2 * (size_t)CHANNEL_QUEUE_BYTES) {
    errno = ENOBUFS;
  } else {
    d = malloc(sizeof(*d) + len);
  }
  if (!d) {
    if (passed_fd != -1) {
      int saved = errno;
      close(passed_fd);
      errno = saved;
    }
    return -1;
  }
  *d = (struct channel_datagram){.len = len, .fd = passed_fd};
  memcpy(d->data, data, len);
  if (c->broken) {
    datagram_free(d); /* closed() is on its way */
    return 0;
  }
  if (c->tail) {
    c->tail->next = d;
  } else {
    c->head = d;
  }
  c->tail = d;
  c->queued++;
  c->queued_bytes += len;
  c->was_full = c->was_full || channel_full(c);
  /* Not channel_flush(): drained() must not run in the middle of its owner's send. */
  if (c->queued % SEND_BATCH == 0 && !(c->watch.events & EPOLLOUT)) {
    send_queue(c);
  }
  return 0;
}

/* Receives what is there, up to READ_BATCH; -1 if the socket is broken. */
static int receive(int fd)
{
  int i, n;

  for (i = 0; i < READ_BATCH; i++) {
    in.iov[i] = (struct iovec){.iov_base = in.data[i], .iov_len = SEQPACKET_MAX};
    in.message[i].msg_hdr = (struct msghdr){
      .msg_iov = &in.iov[i],
      .msg_iovlen = 1,
      .msg_control = &in.control[i],
      .msg_controllen = CMSG_LEN(sizeof(int)), /* CMSG_SPACE has room for two */
    };
  }
  do {
    n = recvmmsg(fd, in.message, READ_BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
    /* ECONNRESET, which comes once, says that our datagrams were not read; those that the
     * peer sent before it closed are still there, then end of file. */
  } while (n == -1 && (errno == EINTR || errno == ECONNRESET));
  if (n == -1) {
    return errno == EAGAIN ? 0 : -1;
  }
  return n;
}

/* The descriptor of in.message[i], taken out of it, or -1. */
static int take_fd(int i)
{
  struct msghdr *message = &in.message[i].msg_hdr;
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  int fd = -1;

  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int))) {
    memcpy(&fd, CMSG_DATA(header), sizeof(int));
  }
  return fd;
}

/* Hands datagram i to the owner. False when the peer is to be closed. */
static bool deliver(struct channel *c, int i)
{
  int flags = in.message[i].msg_hdr.msg_flags;
  unsigned len = in.message[i].msg_len;
  int fd = take_fd(i);

  if (len > 0 && !(flags & (MSG_TRUNC | MSG_CTRUNC))) {
    c->datagram(c, in.data[i], len, fd);
    explicit_bzero(in.data[i], len);
    return true;
  }
  if (fd != -1) {
    close(fd);
  }
  if (flags & MSG_TRUNC) {
    report_warning("dropped a peer that sent a datagram of more than %d bytes", SEQPACKET_MAX);
  } else if (flags & MSG_CTRUNC) {
    report_warning("dropped a peer: %s", fd == -1 ? "no free descriptor for the one it sent"
                                                  : "it sent more than one descriptor");
  }
  return false;
}

/* Delivers the first n of the batch. False when there is nothing more to read. */
static bool deliver_batch(struct channel *c, int n)
{
  bool good = true;
  int i, fd;

  for (i = 0; i < n && good && current == c; i++) {
    good = deliver(c, i);
  }
  for (; i < n; i++) {
    fd = take_fd(i);
    if (fd != -1) {
      close(fd);
    }
  }
  if (!good && current == c) {
    c->closed(c);
    return false;
  }
  return current == c;
}

static void read_datagrams(struct channel *c, bool hung_up)
{
  int total, n;

  for (total = 0; total < CHANNEL_READS_PER_TURN; total += n) {
    n = receive(c->watch.fd);
    if (n == -1) {
      c->closed(c);
      return;
    }
    if (!deliver_batch(c, n) || n < READ_BATCH || (c->paused && !hung_up)) {
      return;
    }
  }
}

static void ready(struct loop_watch *watch, uint32_t events)
{
  struct channel *c = (struct channel *)((char *)watch - offsetof(struct channel, watch));
  bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;

  current = c;
  if (events & EPOLLOUT) {
    send_queue(c);
    channel_flush(c);
  }
  /* A peer that is gone is read to its end even while paused: epoll reports a hang-up
   * whether asked or not, and what is left is bounded by the socket's buffer. */
  if (current == c && (hung_up || ((events & EPOLLIN) && !c->paused))) {
    read_datagrams(c, hung_up);
  }
  current = NULL;
}

void channel_pause(struct channel *c, bool pause)
{
  uint32_t output = c->watch.events & EPOLLOUT;

  if (c->watch.fd == -1 || c->paused == pause) {
    return;
  }
  c->paused = pause;
  if (loop_change(c->loop, &c->watch, output | (pause ? 0 : (uint32_t)EPOLLIN)) == -1) {
    break_off(c);
  }
}

int channel_open(struct channel *c, struct loop *loop, int fd)
{
  c->head = c->tail = NULL;
  c->queued = c->queued_bytes = 0;
  c->was_full = c->paused = c->broken = false;
  c->loop = loop;
  c->watch = (struct loop_watch){.fd = fd, .events = EPOLLIN, .ready = ready};
  if (io_set_nonblocking(fd) == -1 || io_set_cloexec(fd) == -1 || loop_add(loop, &c->watch) == -1) {
    c->watch.fd = -1;
    return -1;
  }
  return 0;
}
