#include "master.h"

#include "channel.h"
#include "lookup.h"
#include "memory.h"
#include "report.h"
#include "seqpacket.h"
#include "stop.h"
#include "worker.h"

#include <unistd.h>

static struct channel channel;
static bool have_channel;

void master_ask(uint64_t token)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "W") == -1 || netstring_put_u64(&b, token) == -1 ||
      channel_send(&channel, b.data, b.len, -1) == -1) {
    /* A closed channel: the stop is under way, and the worker will never come. */
    if (have_channel) {
      memory_out();
    }
  }
  buf_free(&b);
}

/* Takes the fd with 0; with -1 it is still the caller's. */
static int dispatch(struct netstring_reader *r, int fd)
{
  uint64_t token = 0, pid = 0;
  char verb = 0, text[512];

  netstring_get_char(r, &verb);
  if (verb == 'Q') {
    if (netstring_end(r) == -1 || fd == -1) {
      return -1;
    }
    lookup_channel(fd);
    return 0;
  }
  netstring_get_u64(r, UINT64_MAX, &token);
  if (verb == 'W') {
    netstring_get_u64(r, INT32_MAX, &pid);
    if (netstring_end(r) == -1 || fd == -1) {
      return -1;
    }
    worker_arrived(token, (pid_t)pid, fd);
    return 0;
  }
  netstring_get_str(r, text, sizeof text);
  if (verb != 'F' || netstring_end(r) == -1 || fd != -1) {
    return -1;
  }
  worker_refused(token, text);
  return 0;
}

static void datagram(struct channel *c, const char *data, size_t len, int fd)
{
  struct netstring_reader r;

  sched_clock();
  (void)c;
  netstring_open(&r, data, len);
  if (dispatch(&r, fd) == -1) {
    report_warning("the master of relay-remote sent a garbled datagram");
    if (fd != -1) {
      close(fd);
    }
  }
}

static void closed(struct channel *c)
{
  sched_clock();
  channel_close(c);
  have_channel = false;
  stop_failed("relay-remote has ended");
}

int master_open(int fd)
{
  channel.datagram = datagram;
  channel.closed = closed;
  if (channel_open(&channel, &sched.loop, fd) == -1) {
    return -1;
  }
  have_channel = true;
  return 0;
}

void master_flush(void)
{
  if (have_channel) {
    channel_flush(&channel);
  }
}

bool master_stalled(void)
{
  return have_channel && channel_stalled(&channel);
}
