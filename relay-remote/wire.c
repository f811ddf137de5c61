/* A worker's sockets: waits that hear both the MX and relay-send. */
#include "wire.h"

#include "clock.h"
#include "io.h"
#include "seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/*
 * A reply that is waited for is first waited for by recv() alone, so long: most
 * come sooner, and cost no poll(). relay-send is heard that much later.
 */
#define MX_ALONE_MS 50

void wire_init(struct wire *w, int channel, struct loglines *log)
{
  memset(w, 0, sizeof(*w));
  w->mx = -1;
  w->channel = channel;
  w->job_fd = -1;
  w->log = log;
}

/* One datagram of relay-send's. What is malformed or out of turn is ignored. */
static void take_datagram(struct wire *w, const char *data, size_t len, int fd)
{
  struct netstring_reader r;
  struct work_job job;
  uint64_t token;
  char verb;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &verb) == -1) {
    verb = 0;
  }
  if (verb == 'J' && !w->have_job && work_get_job(&r, &job) == 0 && netstring_end(&r) == 0) {
    w->job = job;
    w->have_job = true;
    w->cancelled = false;
    w->past_dot = false;
    w->job_fd = fd;
    fd = -1;
  } else if (verb == 'X' && netstring_get_u64(&r, UINT64_MAX, &token) == 0 &&
             netstring_end(&r) == 0 && w->have_job && token == w->job.token) {
    w->cancelled = true;
  } else if (verb == 'Q' && netstring_end(&r) == 0) {
    w->quit = true;
  }
  if (fd != -1) {
    close(fd);
  }
}

/* ECANCELED when what came ends the job. After the dot only the loss of relay-send does. */
static int still_wanted(const struct wire *w)
{
  if (w->gone || (w->cancelled && !w->past_dot)) {
    errno = JUDGE_CANCELLED;
    return -1;
  }
  return 0;
}

int wire_listen(struct wire *w)
{
  char data[8192]; /* a J with 100 indexes is well below */
  ssize_t n;
  int fd;

  n = seqpacket_recv(w->channel, data, sizeof(data), &fd);
  if (n > 0) {
    take_datagram(w, data, (size_t)n, fd);
  } else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EMSGSIZE)) {
    w->gone = true;
  }
  return still_wanted(w);
}

/* poll() until something happens; the log is flushed when that takes more than a moment. */
static int poll_both(struct wire *w, struct pollfd p[2], int64_t deadline)
{
  int64_t left, wait;
  int n;

  for (;;) {
    left = deadline == IO_FOREVER ? INT_MAX : deadline - clock_monotonic_ms();
    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    wait = left > INT_MAX ? INT_MAX : left;
    if (w->log->len > 0 && wait > WIRE_LOG_DELAY_MS) {
      wait = WIRE_LOG_DELAY_MS;
    }
    n = poll(p, 2, (int)wait);
    if (n > 0) {
      return 0;
    }
    if (n == -1 && errno != EINTR) {
      return -1;
    }
    loglines_flush(w->log);
  }
}

/* Waits until the MX can be read or written. */
static int wait_mx(struct wire *w, short events, short *ready, int64_t deadline)
{
  struct pollfd p[2] = {{.fd = w->mx, .events = events}, {.fd = w->channel, .events = POLLIN}};

  do {
    if (poll_both(w, p, deadline) == -1 || (p[1].revents && wire_listen(w) == -1)) {
      return -1;
    }
  } while (!p[0].revents);
  *ready = p[0].revents;
  return 0;
}

static int bind_source(int fd, const struct ip *source)
{
  struct sockaddr_storage sa;
  socklen_t len;
  int one = 1;

  if (source->family == 0) {
    return 0;
  }
  /* Without it a bound port is taken for all destinations, and ports run out early. */
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
  ip_to_sockaddr(source, 0, &sa, &len);
  return bind(fd, (struct sockaddr *)&sa, len);
}

static int finish_connect(struct wire *w, int64_t deadline)
{
  socklen_t len = sizeof(int);
  int error = 0;
  short ready;

  if (wait_mx(w, POLLOUT, &ready, deadline) == -1 ||
      getsockopt(w->mx, SOL_SOCKET, SO_ERROR, &error, &len) == -1) {
    return -1;
  }
  errno = error;
  return error ? -1 : 0;
}

/* It blocks from here on, for MX_ALONE_MS, wherever MSG_DONTWAIT does not say otherwise. */
static int set_blocking(int fd)
{
  struct timeval t = {.tv_usec = MX_ALONE_MS * 1000};
  int flags = fcntl(fd, F_GETFL);

  if (flags == -1 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == -1) {
    return -1;
  }
  return fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* Closes, and leaves errno as it is. */
static int abandon(struct wire *w, int result)
{
  int saved = errno;

  wire_close(w);
  errno = saved;
  return result;
}

int wire_connect(struct wire *w, const struct ip *source, const struct ip *ip, int port,
                 int64_t deadline)
{
  struct sockaddr_storage sa;
  socklen_t len;
  int one = 1;

  w->in_pos = w->in_len = 0;
  w->mx = socket(ip->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (w->mx == -1) {
    return -1;
  }
  setsockopt(w->mx, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  ip_to_sockaddr(ip, port, &sa, &len);
  if (bind_source(w->mx, source) == -1) {
    return abandon(w, WIRE_NO_SOURCE);
  }
  if ((connect(w->mx, (struct sockaddr *)&sa, len) == 0 ||
       (errno == EINPROGRESS && finish_connect(w, deadline) == 0)) &&
      set_blocking(w->mx) == 0) {
    return 0;
  }
  return abandon(w, -1);
}

void wire_close(struct wire *w)
{
  if (w->mx != -1) {
    close(w->mx);
  }
  w->mx = -1;
}

/* flags 0: waits MX_ALONE_MS at most. 0 also when nothing came. */
static int read_mx(struct wire *w, int flags)
{
  ssize_t n;

  if (w->in_pos == w->in_len) {
    w->in_pos = w->in_len = 0;
  } else if (w->in_pos > 0) {
    memmove(w->in, w->in + w->in_pos, w->in_len - w->in_pos);
    w->in_len -= w->in_pos;
    w->in_pos = 0;
  }
  n = recv(w->mx, w->in + w->in_len, sizeof(w->in) - w->in_len, flags);
  if (n > 0) {
    w->in_len += (size_t)n;
    return 0;
  }
  if (n == -1 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) {
    return 0;
  }
  errno = n == 0 ? JUDGE_CLOSED : errno;
  return -1;
}

/*
 * A blocked write also reads, so that an MX that answers a long group before it
 * reads on does not lock up with us (RFC 2920 3.1), until the buffer is full.
 */
int wire_write(struct wire *w, const char *data, size_t len, int64_t deadline)
{
  short events, ready;
  ssize_t n;

  while (len > 0) {
    n = send(w->mx, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      data += n;
      len -= (size_t)n;
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      return -1;
    }
    events = (short)(w->in_len - w->in_pos < sizeof(w->in) ? POLLIN | POLLOUT : POLLOUT);
    if (wait_mx(w, events, &ready, deadline) == -1 ||
        ((ready & POLLIN) && (events & POLLIN) && read_mx(w, MSG_DONTWAIT) == -1)) {
      return -1;
    }
  }
  return 0;
}

static int wait_and_read(struct wire *w, int64_t deadline)
{
  short ready;

  return wait_mx(w, POLLIN, &ready, deadline) == -1 ? -1 : read_mx(w, MSG_DONTWAIT);
}

int wire_reply(struct wire *w, struct mxreply *r, int64_t deadline,
               void (*on_line)(void *arg, const struct mxreply *r), void *arg)
{
  enum mxreply_result result;
  size_t used;

  mxreply_reset(r);
  if (w->in_pos == w->in_len && read_mx(w, 0) == -1) {
    return -1;
  }
  for (;;) {
    if (w->in_pos == w->in_len) {
      if (wait_and_read(w, deadline) == -1) {
        return -1;
      }
      continue;
    }
    result = mxreply_feed(r, w->in + w->in_pos, w->in_len - w->in_pos, &used);
    w->in_pos += used;
    if (result != MXREPLY_MORE) {
      loglines_put(w->log, '<', r->line, r->line_len);
    }
    if (result == MXREPLY_GARBLED) {
      errno = JUDGE_GARBLED;
      return -1;
    }
    if (on_line && result != MXREPLY_MORE) {
      on_line(arg, r);
    }
    if (result == MXREPLY_DONE) {
      return 0;
    }
  }
}

bool wire_unsolicited(const struct wire *w)
{
  return w->in_pos < w->in_len;
}

int wire_idle(struct wire *w, int64_t deadline)
{
  struct pollfd p[2] = {{.fd = w->mx, .events = POLLIN}, {.fd = w->channel, .events = POLLIN}};

  while (!w->have_job && !w->quit && !w->gone) {
    if (poll_both(w, p, deadline) == -1) {
      return -1;
    }
    if (p[1].revents) {
      wire_listen(w);
    } else if (p[0].revents) {
      /* A job that comes at this very moment is answered, not lost (E stale). */
      wire_listen(w);
      if (!w->have_job) {
        errno = JUDGE_CLOSED;
        return -1;
      }
    }
  }
  return 0;
}

int wire_tell(struct wire *w, const struct buf *datagram)
{
  return wire_tell_all(w, datagram, 1);
}

int wire_tell_all(struct wire *w, const struct buf *datagrams, size_t count)
{
  struct mmsghdr messages[8];
  struct iovec iov[8];
  size_t i;
  int n;

  while (count > 0) {
    memset(messages, 0, sizeof(messages));
    for (i = 0; i < count && i < 8; i++) {
      iov[i] = (struct iovec){.iov_base = datagrams[i].data, .iov_len = datagrams[i].len};
      messages[i].msg_hdr.msg_iov = &iov[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    n = sendmmsg(w->channel, messages, (unsigned)i, MSG_NOSIGNAL);
    if (n >= 0) {
      datagrams += n;
      count -= (size_t)n;
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if ((errno != EAGAIN && errno != EWOULDBLOCK) ||
        io_wait(w->channel, POLLOUT, IO_FOREVER) == -1) {
      w->gone = true;
      errno = JUDGE_CANCELLED;
      return -1;
    }
  }
  return 0;
}
