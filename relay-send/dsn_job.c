/* Jobs from relay-queue, in parts. */
#include "dsn_job.h"

#include "clock.h"
#include "io.h"
#include "memfd.h"
#include "seqpacket.h"

#include <errno.h>
#include <unistd.h>

#define PART_TIMEOUT_MS 30000 /* further parts follow at once, or relay-queue is in trouble */

/* The recipients in what is left of a datagram. 0, or -1 if there are none, too many or bad ones.
 */
static int take_rcpts(struct netstring_reader *r, struct dsn_job *job, uint32_t *have)
{
  uint32_t before = *have;

  while (netstring_more(r)) {
    if (*have >= job->head.rcpt_count || *have - before >= BOUNCE_RCPTS_PER_PART ||
        bounce_get_rcpt(r, &job->rcpts[*have]) < 0) {
      return -1;
    }
    ++*have;
  }
  return netstring_end(r) < 0 || *have == before ? -1 : 0;
}

static int take_part(const char *data, size_t len, struct dsn_job *job, uint32_t *have)
{
  struct netstring_reader r;
  char plus;

  netstring_open(&r, data, len);
  if (netstring_get_char(&r, &plus) < 0 || plus != '+') {
    return -1;
  }
  return take_rcpts(&r, job, have);
}

static int take_first(const char *data, size_t len, struct dsn_job *job, uint32_t *have)
{
  struct netstring_reader r;

  netstring_open(&r, data, len);
  if (bounce_get_job(&r, &job->head) < 0 || job->head.rcpt_count == 0) {
    return -1;
  }
  return take_rcpts(&r, job, have);
}

/* A message must be a sealed memfd of just the size that was said. */
static int check_fd(const struct dsn_job *job, int fd)
{
  const struct bounce_job *h = &job->head;

  if (fd < 0 || h->content_len > INT64_MAX - h->envelope_len) {
    return -1;
  }
  return memfd_check(fd, (off_t)(h->envelope_len + h->content_len));
}

static int refuse(int *fd)
{
  if (*fd >= 0) {
    close(*fd);
  }
  *fd = -1;
  return 2;
}

int dsn_job_receive(int channel, struct dsn_job *job, int *fd)
{
  static char data[SEQPACKET_MAX];
  uint32_t have = 0;

  job->head = (struct bounce_job){.serial = 0};
  ssize_t n = seqpacket_recv_by(channel, data, sizeof data, fd, IO_FOREVER);
  if (n <= 0) {
    return n < 0 && errno == EMSGSIZE ? 2 : (int)n;
  }
  if (take_first(data, (size_t)n, job, &have) < 0) {
    return refuse(fd);
  }
  int64_t deadline = clock_monotonic_ms() + PART_TIMEOUT_MS;
  while (have < job->head.rcpt_count) {
    n = seqpacket_recv_by(channel, data, sizeof data, NULL, deadline);
    if (n == 0 || (n < 0 && errno != EMSGSIZE && errno != ETIMEDOUT)) {
      refuse(fd);
      return (int)n;
    }
    if (n < 0 || take_part(data, (size_t)n, job, &have) < 0) {
      return refuse(fd);
    }
  }
  return check_fd(job, *fd) < 0 ? refuse(fd) : 1;
}
