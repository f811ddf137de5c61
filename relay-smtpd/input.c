#include "input.h"

#include "clock.h"
#include "io.h"
#include "tls_pump.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum input_result input_line(struct input *in, const char **line, size_t *len)
{
  char *begin = in->bytes + in->start;
  size_t have = in->end - in->start;
  char *lf = have ? memchr(begin, '\n', have) : NULL;
  bool long_line = in->discarding || (lf ? (size_t)(lf - begin) : have) > INPUT_LINE_MAX;

  if (!lf) {
    if (long_line) {
      /* The last byte stays: it may be the CR of the line's end. */
      in->discarding = true;
      in->start = in->end - 1;
    }
    return INPUT_NEED;
  }
  in->start += (size_t)(lf + 1 - begin);
  in->discarding = false;
  if (lf == begin || lf[-1] != '\r') {
    return INPUT_BARE_LF;
  }
  if (long_line) {
    return INPUT_TOO_LONG;
  }
  *line = begin;
  *len = (size_t)(lf - 1 - begin);
  return INPUT_LINE;
}

void input_open(struct input *in, int fd)
{
  const struct timeval soon = {.tv_usec = INPUT_SOON_MS * 1000};

  in->fd = fd;
  in->soon = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0;
}

/* Moves what is kept, part of one line and so short, to the front; returns the room behind it. */
static size_t make_room(struct input *in, size_t max)
{
  size_t have = in->end - in->start, room = sizeof in->bytes - have;

  memmove(in->bytes, in->bytes + in->start, have);
  in->start = 0;
  in->end = have;
  return room < max ? room : max;
}

ssize_t input_read(struct input *in, size_t max, int64_t deadline)
{
  size_t room = make_room(in, max);
  char *to = in->bytes + in->end;
  ssize_t n = in->tls ? tls_pump_read(in->tls, to, room, deadline)
                      : io_read(in->fd, to, room, deadline);

  if (n > 0) {
    in->end += (size_t)n;
  }
  return n;
}

ssize_t input_read_soon(struct input *in, size_t max)
{
  size_t room = make_room(in, max);
  char *to = in->bytes + in->end;
  ssize_t n;

  if (in->tls) {
    n = tls_pump_read(in->tls, to, room, clock_monotonic_ms() + INPUT_SOON_MS);
    errno = n == -1 && errno == ETIMEDOUT ? EAGAIN : errno;
  } else {
    n = read(in->fd, to, room);
  }
  if (n > 0) {
    in->end += (size_t)n;
  } else if (n == -1 && errno == EINTR) {
    errno = EAGAIN;
  }
  return n;
}

void input_trim(struct input *in)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t begin = ((uintptr_t)in->bytes + in->end + page - 1) / page * page;
  uintptr_t end = ((uintptr_t)in->bytes + sizeof in->bytes) / page * page;

  if (begin < end) {
    madvise((void *)begin, end - begin, MADV_DONTNEED);
  }
}
