#include "submit.h"

#include "io.h"
#include "memfd.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PIECE (128 * 1024) /* bytes in one write */
#define FIRST_PIECE 8192   /* holds an ordinary message whole */

static void fail(struct submit *s, const char *reply)
{
  if (!s->failed) {
    s->failed = true;
    snprintf(s->reply, sizeof s->reply, "%s", reply);
  }
}

static void fail_errno(struct submit *s)
{
  switch (errno) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG:
    fail(s, "452 4.3.1 no room for the message, try again later");
    break;
  default:
    fail(s, "451 4.3.0 no memory or descriptors for the message, try again later");
  }
}

static void fail_hatch(struct submit *s, enum hatch_result result, const struct intake_answer *a)
{
  char reply[SUBMIT_REPLY_SIZE];

  if (result == HATCH_REFUSED) {
    snprintf(reply, sizeof reply, "%03d %s", a->code, a->text);
    fail(s, reply);
  } else {
    fail(s, "451 4.3.0 the relay is restarting or overloaded, try again later");
  }
}

/* Writes what is collected. */
static int write_out(struct submit *s)
{
  const char *p = s->out->data;
  size_t left = s->out->len;
  ssize_t n;

  if (s->fd == -1) {
    s->fd = memfd_make("message");
    if (s->fd == -1) {
      return -1;
    }
  }
  while (left > 0) {
    n = write(s->fd, p, left);
    if (n == -1 && errno != EINTR) {
      return -1;
    }
    p += n > 0 ? n : 0;
    left -= n > 0 ? (size_t)n : 0;
  }
  buf_reset(s->out);
  return 0;
}

/* The big file gets what the memfd has, then what is still in memory. */
static int copy_to(struct submit *s, int to)
{
  char piece[16384];
  ssize_t n;

  for (off_t at = 0; s->fd != -1; at += n) {
    n = pread(s->fd, piece, sizeof piece, at);
    if (n <= 0) {
      if (n == -1) {
        return -1;
      }
      break;
    }
    if (io_write_all(to, piece, (size_t)n, IO_FOREVER) < 0) {
      return -1;
    }
  }
  return 0;
}

/*
 * So that no bug of ours fills the disk. Our other files are a memfd and the
 * log, which is a pipe; a log that is a file may be cut at these 2 GiB.
 */
static void limit_file_size(void)
{
  struct rlimit limit = {INTAKE_CONTENT_MAX + ENVELOPE_MAX, INTAKE_CONTENT_MAX + ENVELOPE_MAX};

  signal(SIGXFSZ, SIG_IGN); /* EFBIG instead */
  setrlimit(RLIMIT_FSIZE, &limit);
}

static void become_big(struct submit *s)
{
  struct intake_answer answer;
  enum hatch_result result;
  int fd;

  result = hatch_big(s->hatch, &answer, &fd);
  if (result != HATCH_OK) {
    fail_hatch(s, result, &answer);
    return;
  }
  limit_file_size();
  int copied = copy_to(s, fd);
  int why = errno;
  if (s->fd != -1) {
    close(s->fd);
  }
  s->fd = fd;
  if (!*answer.text || strlen(answer.text) >= sizeof s->name) {
    fail_hatch(s, HATCH_BROKEN, NULL);
    return;
  }
  strcpy(s->name, answer.text);
  if (copied < 0) {
    errno = why;
    fail_errno(s);
  }
}

/*
 * May the message go on in its memfd? relay-queue is asked for as much as it is
 * likely to need, then for twice as much. False: to disk with it, unless it may
 * not be queued; then it has failed.
 */
static bool stays_in_memory(struct submit *s)
{
  struct intake_answer answer;
  enum hatch_result result = HATCH_REFUSED;
  uint64_t wanted = 2 * s->content_len;

  if (s->through == 0) {
    return false;
  }
  if (s->content_len <= s->memory) {
    return true;
  }
  if (s->memory == 0 && s->expected > s->content_len) {
    wanted = s->expected + s->expected / 8; /* dots, our Received line; a client's guess */
  }
  wanted = wanted < s->through_bytes ? wanted : s->through_bytes;
  if (s->content_len <= wanted) {
    result = hatch_memory(s->hatch, wanted, &answer);
    if (result == HATCH_OK) {
      s->memory = wanted;
      return true;
    }
  }
  if (s->through & ENVELOPE_THROUGH_ONLY) {
    if (result == HATCH_BROKEN) {
      fail_hatch(s, result, &answer);
      return true;
    }
    fail(s, "452 4.3.1 the message is too big to be kept in memory, and may not be queued");
    return true;
  }
  s->through = 0;
  return false;
}

void submit_begin(struct submit *s, struct hatch *h, struct buf *out, const struct envelope *e,
                  const struct received *r, uint64_t expected)
{
  *s = (struct submit){
    .hatch = h, .fd = -1, .out = out, .through = e->through, .expected = expected};
  /* Only a hint, so its failure is not one. */
  (void)buf_reserve(s->out,
                    expected < PIECE ? FIRST_PIECE + (size_t)expected : PIECE + FIRST_PIECE);
  if (envelope_encode(e, s->out) < 0) {
    fail_errno(s);
    return;
  }
  s->envelope_len = s->out->len;
  if (received_put(s->out, r) < 0) {
    fail_errno(s);
  }
  s->content_len = s->out->len - s->envelope_len;
}

void submit_content(struct submit *s, const char *bytes, size_t len)
{
  if (s->failed) {
    return;
  }
  if (buf_append(s->out, bytes, len) < 0) {
    fail_errno(s);
    return;
  }
  s->content_len += len;
  if (s->content_len > INTAKE_BIG_BYTES && !*s->name && !stays_in_memory(s)) {
    become_big(s);
  }
  if (!s->failed && s->out->len >= PIECE && write_out(s) < 0) {
    fail_errno(s);
  }
}

/* Everything is written; a big file's last descriptor is closed (intake.h), a memfd sealed. */
static int complete(struct submit *s)
{
  int fd = s->fd;

  if (write_out(s) < 0) {
    return -1;
  }
  if (!*s->name) {
    return memfd_seal(s->fd);
  }
  s->fd = -1;
  return close(fd);
}

bool submit_finish(struct submit *s, int client_fd)
{
  struct intake_answer answer;
  enum hatch_result result;

  if (!s->failed && complete(s) < 0) {
    fail_errno(s);
  }
  if (s->failed) {
    return true;
  }
  result =
    hatch_submit(s->hatch, s->envelope_len, s->content_len, s->fd, s->name, s->through, client_fd,
                 &answer);
  if (result == HATCH_GONE) {
    return false;
  }
  if (result != HATCH_OK) {
    fail_hatch(s, result, &answer);
    return true;
  }
  /* 421 would announce that we close (RFC 5321 3.8); an MX's 421 is not about this session. */
  snprintf(s->reply, sizeof s->reply, "%03d %s", answer.code == 421 ? 451 : answer.code,
           answer.text);
  return true;
}

void submit_end(struct submit *s)
{
  if (s->fd != -1) {
    /* A big file that is not wanted any more waits in queue/big/ until relay-queue sees to it;
     * it need not hold the disk till then. For a sealed memfd this fails, and need not work. */
    if (*s->name && ftruncate(s->fd, 0) < 0) {
      errno = 0;
    }
    close(s->fd);
  }
  buf_reset(s->out);
  if (s->out->cap > SUBMIT_BUFFER_KEPT) {
    buf_free(s->out);
  }
  *s = (struct submit){.fd = -1};
}
