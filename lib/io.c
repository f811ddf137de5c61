#include "io.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

int io_wait(int fd, short events, int64_t deadline)
{
  struct pollfd p = {.fd = fd, .events = events};
  int64_t left;
  int timeout, n;

  for (;;) {
    timeout = -1;
    if (deadline != IO_FOREVER) {
      left = deadline - clock_monotonic_ms();
      if (left <= 0) {
        errno = ETIMEDOUT;
        return -1;
      }
      timeout = left > INT_MAX ? INT_MAX : (int)left;
    }
    n = poll(&p, 1, timeout);
    if (n > 0) {
      if (p.revents & POLLNVAL) {
        errno = EBADF;
        return -1;
      }
      /* POLLERR and POLLHUP too: the read or write that follows says what it is. */
      return 0;
    }
    if (n == -1 && errno != EINTR) {
      return -1;
    }
  }
}

ssize_t io_read(int fd, void *data, size_t len, int64_t deadline)
{
  ssize_t n;

  for (;;) {
    if (io_wait(fd, POLLIN, deadline) == -1) {
      return -1;
    }
    n = read(fd, data, len);
    if (n >= 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
      return n;
    }
  }
}

/*
 * A write that does not block although fd may be blocking: a socket is asked
 * with MSG_DONTWAIT, and a pipe that polls writable takes PIPE_BUF bytes.
 */
static ssize_t write_some(int fd, const char *data, size_t len, int64_t deadline)
{
  ssize_t n;

  if (deadline == IO_FOREVER) {
    return write(fd, data, len);
  }
  n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0 || errno != ENOTSOCK) {
    return n;
  }
  if (io_wait(fd, POLLOUT, deadline) == -1) {
    return -1;
  }
  return write(fd, data, len > PIPE_BUF ? PIPE_BUF : len);
}

int io_write_all(int fd, const void *data, size_t len, int64_t deadline)
{
  const char *p = data;
  ssize_t n;

  while (len > 0) {
    if (deadline != IO_FOREVER && clock_monotonic_ms() >= deadline) {
      errno = ETIMEDOUT;
      return -1;
    }
    n = write_some(fd, p, len, deadline);
    if (n >= 0) {
      p += n;
      len -= (size_t)n;
      continue;
    }
    if (errno == EINTR) {
      continue;
    }
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || io_wait(fd, POLLOUT, deadline) == -1) {
      return -1;
    }
  }
  return 0;
}

int io_pread_all(int fd, void *data, size_t len, off_t offset)
{
  char *p = data;
  ssize_t n;

  while (len > 0) {
    n = pread(fd, p, len, offset);
    if (n == 0) {
      errno = EIO;
      return -1;
    }
    if (n == -1) {
      if (errno != EINTR) {
        return -1;
      }
      continue;
    }
    p += n;
    offset += n;
    len -= (size_t)n;
  }
  return 0;
}

int io_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
  const char *p = data;
  ssize_t n;

  while (len > 0) {
    n = pwrite(fd, p, len, offset);
    if (n == 0) {
      errno = EIO;
      return -1;
    }
    if (n == -1) {
      if (errno != EINTR) {
        return -1;
      }
      continue;
    }
    p += n;
    offset += n;
    len -= (size_t)n;
  }
  return 0;
}

int io_set_nonblocking(int fd)
{
  int flags = fcntl(fd, F_GETFL);

  if (flags == -1) {
    return -1;
  }
  return flags & O_NONBLOCK ? 0 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int io_set_cloexec(int fd)
{
  int flags = fcntl(fd, F_GETFD);

  if (flags == -1) {
    return -1;
  }
  return flags & FD_CLOEXEC ? 0 : fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

int io_reserve_standard_fds(void)
{
  int fd;

  /* As good as always, and relay-smtpd asks once a connection. */
  if (fcntl(0, F_GETFD) != -1 && fcntl(1, F_GETFD) != -1 && fcntl(2, F_GETFD) != -1) {
    return 0;
  }
  /* open() gives the lowest free number, so the gaps fill from below. */
  do {
    fd = open("/dev/null", O_RDWR);
    if (fd == -1) {
      return -1;
    }
  } while (fd <= 2);
  return close(fd);
}
