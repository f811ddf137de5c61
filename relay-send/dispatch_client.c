#include "dispatch_client.h"

#include "channel.h"
#include "ctl_server.h"
#include "domain.h"
#include "exits.h"
#include "hash.h"
#include "hold.h"
#include "job.h"
#include "memory.h"
#include "notice.h"
#include "report.h"
#include "schedule.h"
#include "seqpacket.h"
#include "stop.h"
#include "through.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * Descriptors that came with M and whose message has not been tried yet, oldest
 * first: in a burst it waits a moment for a connection, and asking for it again
 * (G) would have relay-queue read and copy it.
 */
#define FRESH_MAX 2048
#define FRESH_SHARE 8 /* and one in so many of the descriptors that this process may have */
#define FRESH_BYTES (16 << 20)
#define FRESH_MS 3000

static struct channel channel;
static struct fresh {
  uint64_t serial, bytes;
  int64_t came;
  int fd; /* -1 when it was taken */
} fresh[FRESH_MAX];
static unsigned fresh_first, fresh_count, fresh_most;
static uint64_t fresh_bytes;

/* A message of more recipients than a datagram takes, until its last part. */
struct partial {
  uint64_t serial;
  uint32_t here;
  struct dispatch_rcpt rcpts[];
};
static struct hash partials;

static const void *partial_key(const void *item, size_t *len)
{
  const struct partial *p = item;

  *len = sizeof p->serial;
  return &p->serial;
}

void dispatch_client_send(const struct buf *b, int fd)
{
  if (channel_send(&channel, b->data, b->len, fd) == -1) {
    memory_out(); /* the bound is kept by everybody who looks at dispatch_client_full() */
  }
}

void dispatch_client_flush(void)
{
  channel_flush(&channel);
}

bool dispatch_client_full(void)
{
  return channel_full(&channel);
}

bool dispatch_client_empty(void)
{
  return channel_empty(&channel);
}

bool dispatch_client_stalled(void)
{
  return channel_stalled(&channel);
}

void dispatch_client_fetch(uint64_t serial)
{
  struct buf b = BUF_INIT(64);

  if (netstring_put_str(&b, "G") == -1 || netstring_put_u64(&b, serial) == -1) {
    memory_out();
  }
  dispatch_client_send(&b, -1);
  buf_free(&b);
}

void dispatch_client_last(uint64_t token, uint64_t serial, uint32_t rcpt)
{
  struct buf b = BUF_INIT(128);

  if (netstring_put_str(&b, "Y") == -1 || netstring_put_u64(&b, token) == -1 ||
      netstring_put_u64(&b, serial) == -1 || netstring_put_u64(&b, rcpt) == -1) {
    memory_out();
  }
  dispatch_client_send(&b, -1);
  buf_free(&b);
}

static void fresh_taken(struct fresh *f)
{
  f->fd = -1;
  fresh_bytes -= f->bytes;
}

int dispatch_client_fresh(uint64_t serial)
{
  unsigned low = 0, high = fresh_count;

  /* They come in the order of their serials; were one out of order, G would fetch it. */
  while (low < high) {
    unsigned middle = (low + high) / 2;
    if (fresh[(fresh_first + middle) % FRESH_MAX].serial < serial) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  struct fresh *f = &fresh[(fresh_first + low) % FRESH_MAX];
  if (low == fresh_count || f->serial != serial || f->fd == -1) {
    return -1;
  }
  int fd = f->fd;
  fresh_taken(f);
  return fd;
}

static void fresh_drop_first(void)
{
  struct fresh *f = &fresh[fresh_first];

  if (f->fd != -1) {
    close(f->fd);
    fresh_taken(f);
  }
  fresh_first = (fresh_first + 1) % FRESH_MAX;
  fresh_count--;
}

int dispatch_client_turn(void)
{
  while (fresh_count > 0 && (fresh[fresh_first].fd == -1 || fresh_bytes > FRESH_BYTES ||
                             sched.now - fresh[fresh_first].came >= FRESH_MS)) {
    fresh_drop_first();
  }
  return fresh_count > 0 ? (int)(fresh[fresh_first].came + FRESH_MS - sched.now) : -1;
}

static void keep_fresh(const struct dispatch_message *m, int fd)
{
  uint64_t len = m->envelope_len + m->content_len;

  if (fd == -1) {
    return;
  }
  /* relay-queue has checked it (memfd_check()); here it is only passed on, to be read with pread. */
  if (fresh_most == 0) {
    close(fd);
    return;
  }
  if (fresh_count == fresh_most) {
    fresh_drop_first();
  }
  fresh[(fresh_first + fresh_count++) % FRESH_MAX] =
    (struct fresh){.serial = m->serial, .bytes = len, .came = sched.now, .fd = fd};
  fresh_bytes += len;
}

static void take_message(const struct dispatch_message *head, const struct dispatch_rcpt *rcpts,
                         int fd)
{
  struct message *m = message_make(head, rcpts);

  if (!m) {
    report_warning("relay-queue told of message %llu with a malformed id",
                   (unsigned long long)head->serial);
    if (fd != -1) {
      close(fd);
    }
    return;
  }
  keep_fresh(head, fd);
  m->held = hold_is("id", head->id);
  /* One that fails at once must not take the message away before the others are placed. */
  m->notice_open = 1;
  if (head->through) {
    through_begin(m, head->through);
  }
  uint16_t count = m->rcpt_count;
  for (uint16_t i = 0; i < count; i++) {
    schedule_told(&m->rcpts[i], &rcpts[i]);
  }
  m->notice_open = 0;
  message_release(m);
}

/* 0, 1 when more parts are to come, -1 if the parts do not make a whole. */
static int add_part(const struct dispatch_message *head, const struct dispatch_rcpt *rcpts,
                    uint32_t here, struct partial **whole)
{
  struct partial *p = hash_remove(&partials, &head->serial, sizeof head->serial);

  if (!p) {
    p = memory_get(sizeof *p + head->rcpts_total * sizeof *p->rcpts);
    p->serial = head->serial;
  }
  if (here > head->rcpts_total - p->here || (head->last && p->here + here < head->rcpts_total)) {
    free(p);
    return -1;
  }
  memcpy(&p->rcpts[p->here], rcpts, here * sizeof *rcpts);
  p->here += here;
  if (!head->last) {
    if (hash_insert(&partials, p) == -1) {
      memory_out();
    }
    return 1;
  }
  *whole = p;
  return 0;
}

/* One M; behind one with an fd nothing may follow. -1: garbled; the fd is then still the caller's. */
static int told_message(struct netstring_reader *r, int fd)
{
  static struct dispatch_rcpt rcpts[DISPATCH_RCPTS_PER_PART];
  struct dispatch_message head;
  struct partial *whole = NULL;
  uint32_t here;

  if (dispatch_get_message(r, &head, &here) == -1) {
    return -1;
  }
  for (uint32_t i = 0; i < here; i++) {
    if (dispatch_get_rcpt(r, &rcpts[i]) == -1) {
      return -1;
    }
  }
  if (r->bad || (fd != -1 && netstring_end(r) == -1) || head.rcpts_total == 0) {
    return -1;
  }
  if (head.last && here == head.rcpts_total) {
    take_message(&head, rcpts, fd);
    return 0;
  }
  int result = add_part(&head, rcpts, here, &whole);
  if (result == 0) {
    take_message(&head, whole->rcpts, fd);
    free(whole);
  }
  return result == 1 && fd != -1 ? -1 : result == 1 ? 0 : result;
}

/* At start relay-queue puts several into a datagram. */
static int told_messages(struct netstring_reader *r, int fd)
{
  int result = told_message(r, fd);
  char verb;

  while (result == 0 && netstring_more(r)) {
    result = netstring_get_char(r, &verb) == 0 && verb == 'M' ? told_message(r, -1) : -1;
  }
  return result;
}

static int told_fd(struct netstring_reader *r, int fd)
{
  uint64_t serial = 0, ok = 0;
  char text[512];

  netstring_get_u64(r, UINT64_MAX, &serial);
  netstring_get_u64(r, 1, &ok);
  netstring_get_str(r, text, sizeof text);
  if (netstring_end(r) == -1 || (ok && fd == -1) || (!ok && fd != -1)) {
    return -1;
  }
  job_fetched(serial, fd, text);
  return 0;
}

static int told_numbers(struct netstring_reader *r, char verb)
{
  uint64_t a = 0, ok = 0;

  if (verb == 'D') {
    netstring_get_u64(r, UINT64_MAX, &a);
  }
  netstring_get_u64(r, 1, &ok);
  if (netstring_end(r) == -1) {
    return -1;
  }
  if (verb == 'D') {
    notice_answer(a, ok);
  } else {
    sched.paused = ok;
    loglines_printf(&sched.log, '=', "pause results=%d", (int)ok);
  }
  return 0;
}

static int told_end_of_through(struct netstring_reader *r)
{
  uint64_t serial = 0, ok = 0;

  netstring_get_u64(r, UINT64_MAX, &serial);
  netstring_get_u64(r, 1, &ok);
  if (netstring_end(r) == -1) {
    return -1;
  }
  through_answer(serial, ok);
  return 0;
}

static int told_text(struct netstring_reader *r, char verb)
{
  char key[DISPATCH_NOTE_KEY_SIZE], value[2048];
  uint64_t token = 0;

  if (verb == 'Y') {
    netstring_get_u64(r, UINT64_MAX, &token);
  } else {
    netstring_get_str(r, key, sizeof key);
  }
  netstring_get_str(r, value, sizeof value);
  if (netstring_end(r) == -1) {
    return -1;
  }
  if (verb == 'Y') {
    ctl_server_last(token, value);
  } else {
    hold_note(key, value);
  }
  return 0;
}

static int told_all(struct netstring_reader *r)
{
  if (netstring_end(r) == -1 || sched.told) {
    return -1;
  }
  sched.told = true;
  loglines_printf(&sched.log, '=', "queue messages=%llu", (unsigned long long)sched.messages);
  hold_apply_ids();
  domain_ask_all();
  return 0;
}

static int dispatch(struct netstring_reader *r, int fd)
{
  char verb = 0;

  netstring_get_char(r, &verb);
  switch (verb) {
  case 'C':
    return told_end_of_through(r);
  case 'M':
    return told_messages(r, fd);
  case 'F':
    return told_fd(r, fd);
  case 'D':
  case 'P':
    return told_numbers(r, verb);
  case 'Y':
  case 'N':
    return told_text(r, verb);
  case 'E':
    return told_all(r);
  case 'S':
    stop_failed("relay-bounce has ended");
    return netstring_end(r);
  default:
    return -1;
  }
}

static void datagram(struct channel *c, const char *data, size_t len, int fd)
{
  struct netstring_reader r;

  sched_clock();
  (void)c;
  netstring_open(&r, data, len);
  char verb = len > 2 ? data[2] : '?';
  if (dispatch(&r, fd) == -1) {
    report_warning("relay-queue sent a garbled datagram of kind %c", verb);
    if (fd != -1) {
      close(fd);
    }
  } else if (fd != -1 && verb != 'M' && verb != 'F') {
    close(fd);
  }
}

static void closed(struct channel *c)
{
  (void)c;
  /* Nobody is left to take a result; what is on disk is told again. */
  report_fatal("relay-queue has ended");
  exit(EXIT_TEMPORARY);
}

int dispatch_client_open(int fd)
{
  struct rlimit limit = {0};

  getrlimit(RLIMIT_NOFILE, &limit);
  fresh_most = limit.rlim_cur / FRESH_SHARE < FRESH_MAX ? (unsigned)limit.rlim_cur / FRESH_SHARE
                                                        : FRESH_MAX;
  hash_init(&partials, partial_key);
  channel.datagram = datagram;
  channel.closed = closed;
  return channel_open(&channel, &sched.loop, fd);
}
