#include "seqpacket.h"

#include "clock.h"
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 50

int seqpacket_pair(int fds[2])
{
  return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
}

static int set_path(struct sockaddr_un *address, const char *path)
{
  size_t len = strlen(path);

  if (len == 0 || len >= sizeof(address->sun_path)) {
    errno = len ? ENAMETOOLONG : ENOENT;
    return -1;
  }
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, path, len);
  return 0;
}

static int close_keep_errno(int fd)
{
  int saved = errno;

  close(fd);
  errno = saved;
  return -1;
}

int seqpacket_listen(const char *path, int backlog, mode_t mode)
{
  struct sockaddr_un address;
  struct stat st;
  mode_t old;
  int fd, bound;

  if (set_path(&address, path) == -1) {
    return -1;
  }
  /* Anything but a socket is left alone, and bind() says EADDRINUSE. */
  if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) == -1) {
    return -1;
  }
  fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) {
    return -1;
  }
  /* By the umask and not by a later chmod(), so that it is never open to more. */
  old = umask(~mode & 0777);
  bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
  umask(old);
  if (bound == -1 || listen(fd, backlog) == -1) {
    return close_keep_errno(fd);
  }
  return fd;
}

/* connect() waits while the listener's backlog is full; the send time-out bounds that wait. */
static int set_send_timeout(int fd, int64_t ms)
{
  struct timeval t = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

  return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int connect_by(int fd, const struct sockaddr_un *address, int64_t deadline)
{
  int64_t left;

  for (;;) {
    if (deadline != IO_FOREVER) {
      left = deadline - clock_monotonic_ms();
      if (left <= 0) {
        errno = ETIMEDOUT;
        return -1;
      }
      if (set_send_timeout(fd, left) == -1) {
        return -1;
      }
    }
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
      return deadline == IO_FOREVER ? 0 : set_send_timeout(fd, 0);
    }
    if (errno != EINTR && errno != EAGAIN) {
      return -1;
    }
  }
}

int seqpacket_connect(const char *path, int64_t deadline)
{
  struct sockaddr_un address;
  int fd;

  if (set_path(&address, path) == -1) {
    return -1;
  }
  fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    return -1;
  }
  return connect_by(fd, &address, deadline) == -1 ? close_keep_errno(fd) : fd;
}

int seqpacket_connect_patiently(const char *path, int64_t deadline)
{
  const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
  int fd;

  for (;;) {
    fd = seqpacket_connect(path, deadline);
    if (fd != -1 || (errno != ENOENT && errno != ECONNREFUSED) ||
        clock_monotonic_ms() + RETRY_MS >= deadline) {
      return fd;
    }
    nanosleep(&pause, NULL);
  }
}

int seqpacket_accept(int listener)
{
  int fd;

  do {
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd == -1 && errno == EINTR);
  return fd;
}

static int send_with(int fd, const void *data, size_t len, int passed_fd, int flags)
{
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  ssize_t n;

  if (len == 0 || len > SEQPACKET_MAX) {
    errno = len ? EMSGSIZE : EINVAL; /* an empty datagram would look like end of file */
    return -1;
  }
  if (passed_fd != -1) {
    memset(&control, 0, sizeof(control));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
    message.msg_control = &control;
    message.msg_controllen = sizeof(control.space);
  }
  do {
    n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
  } while (n == -1 && errno == EINTR);
  return n == -1 ? -1 : 0;
}

int seqpacket_send(int fd, const void *data, size_t len, int passed_fd)
{
  return send_with(fd, data, len, passed_fd, 0);
}

/* The descriptor that came with a message, or -1. */
static int take_fd(struct msghdr *message)
{
  struct cmsghdr *header;
  int fd = -1;

  for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int))) {
      memcpy(&fd, CMSG_DATA(header), sizeof(int));
    }
  }
  return fd;
}

static ssize_t recv_with(int fd, void *data, size_t size, int *passed_fd, int flags)
{
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec iov = {.iov_base = data, .iov_len = size};
  struct msghdr message;
  bool reset = false;
  ssize_t n;
  int taken;

  for (;;) {
    message = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1};
    if (passed_fd) {
      message.msg_control = &control;
      message.msg_controllen = CMSG_LEN(sizeof(int)); /* CMSG_SPACE has room for two */
      *passed_fd = -1;
    }
    n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | flags);
    if (n != -1) {
      break;
    }
    /* A peer that closed with datagrams of ours unread leaves one ECONNRESET in front of
     * what it sent before: a last answer, perhaps. */
    if (errno == ECONNRESET && !reset) {
      reset = true;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  taken = passed_fd ? take_fd(&message) : -1;
  if (n == 0 || (message.msg_flags & MSG_TRUNC)) {
    if (taken != -1) {
      close(taken);
    }
    errno = EMSGSIZE;
    return n == 0 ? 0 : -1;
  }
  if (passed_fd) {
    *passed_fd = taken;
  }
  return n;
}

ssize_t seqpacket_recv(int fd, void *data, size_t size, int *passed_fd)
{
  return recv_with(fd, data, size, passed_fd, 0);
}

int seqpacket_send_by(int fd, const void *data, size_t len, int passed_fd, int64_t deadline)
{
  for (;;) {
    if (send_with(fd, data, len, passed_fd, MSG_DONTWAIT) == 0) {
      return 0;
    }
    if (errno != EAGAIN || io_wait(fd, POLLOUT, deadline) == -1) {
      return -1;
    }
  }
}

ssize_t seqpacket_recv_by(int fd, void *data, size_t size, int *passed_fd, int64_t deadline)
{
  ssize_t n;

  for (;;) {
    n = recv_with(fd, data, size, passed_fd, MSG_DONTWAIT);
    if (n != -1 || errno != EAGAIN) {
      return n;
    }
    if (io_wait(fd, POLLIN, deadline) == -1) {
      return -1;
    }
  }
}

int seqpacket_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
  struct ucred peer;
  socklen_t len = sizeof(peer);

  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
    return -1;
  }
  *pid = peer.pid;
  *uid = peer.uid;
  *gid = peer.gid;
  return 0;
}
