/* A job's message: from its descriptor to the wire, pread only (holders share the offset). */
#include "transaction.h"

#include "body.h"
#include "clock.h"
#include "io.h"
#include "scan.h"

#include <errno.h>
#include <string.h>

static char out[BODY_ROOM(CONTENT_CHUNK)];
static char chunk[CONTENT_CHUNK + BODY_END_ROOM];

static bool indexes_valid(const struct transaction *t)
{
  for (uint32_t i = 0; i < t->job->rcpt_count; i++) {
    if (t->job->rcpts[i] >= t->envelope.rcpt_count) {
      return false;
    }
  }
  return t->job->rcpt_count > 0;
}

int content_load(struct transaction *t)
{
  const struct work_job *job = t->job;
  size_t len = (size_t)job->envelope_len;

  t->first_len = job->content_len < CONTENT_CHUNK ? (size_t)job->content_len : CONTENT_CHUNK;
  buf_reset(&t->head);
  if (buf_reserve(&t->head, len + t->first_len + BODY_END_ROOM) == -1 ||
      io_pread_all(t->s->wire.job_fd, t->head.data, len + t->first_len, 0) == -1 ||
      envelope_decode(&t->envelope, t->head.data, len) == -1) {
    return -1;
  }
  t->head.len = len + t->first_len;
  t->first = t->head.data + len;
  t->has_8bit = !scan_ascii_only(t->first, t->first_len);
  errno = EINVAL;
  return indexes_valid(t) ? 0 : -1;
}

/* Where the header ends in a piece, or len. A line's end may be in the piece before. */
static size_t header_end(const char *data, size_t len)
{
  const char *end = memmem(data, len, "\r\n\r\n", 4);

  return end ? (size_t)(end - data) : len;
}

int content_header_is_ascii(struct transaction *t)
{
  uint64_t at = t->first_len;
  size_t n = header_end(t->first, t->first_len);

  if (!scan_ascii_only(t->first, n)) {
    return 0;
  }
  /* A header beyond the first chunk: pieces overlap by three bytes, for an end across them. */
  while (n == t->first_len && at < t->job->content_len) {
    size_t len = t->job->content_len - at < CONTENT_CHUNK - 3 ? (size_t)(t->job->content_len - at)
                                                              : CONTENT_CHUNK - 3;

    if (io_pread_all(t->s->wire.job_fd, chunk, len + 3, (off_t)(t->job->envelope_len + at - 3)) ==
        -1) {
      return -1;
    }
    n = header_end(chunk, len + 3);
    if (!scan_ascii_only(chunk, n)) {
      return 0;
    }
    if (n < len + 3) {
      break;
    }
    n = t->first_len;
    at += len;
  }
  return 1;
}

/*
 * What is before the final dot. A worker that has lost its relay-send sends
 * none, and X is heard for the last time; a message of one piece goes without
 * D (work.h), which would wake relay-send for nothing.
 */
static int before_dot(struct transaction *t)
{
  struct buf b = BUF_INIT(64);
  int result;

  if (t->job->content_len <= WORK_PIECE_BYTES) {
    t->s->wire.past_dot = true;
    return 0;
  }
  result = netstring_put_str(&b, "D") == -1 || netstring_put_u64(&b, t->job->token) == -1 ||
               wire_tell(&t->s->wire, &b) == -1
             ? -1
             : 0;
  buf_free(&b);
  if (result == 0) {
    t->s->wire.past_dot = true;
  }
  return result;
}

/*
 * What an MX says before the dot answers nothing. A refusal it may be, and is
 * read as one; an acceptance it is not.
 */
static int check_silence(struct transaction *t)
{
  if (!wire_unsolicited(&t->s->wire)) {
    return 0;
  }
  errno = JUDGE_UNSOLICITED;
  return -1;
}

int content_send(struct transaction *t)
{
  const uint64_t total = t->job->content_len;
  char *data = t->first, *encoded;
  uint64_t done = 0;
  size_t len = t->first_len, n;
  struct body body;

  body_init(&body);
  for (;;) {
    encoded = body_plain(&body, data, len) ? data : out;
    n = encoded == data ? len : body_encode(&body, data, len, out);
    done += len;
    if (done == total) {
      n += body_end(&body, encoded + n);
    }
    if (wire_listen(&t->s->wire) == -1 || check_silence(t) == -1 ||
        (done == total && before_dot(t) == -1) ||
        wire_write(&t->s->wire, encoded, n,
                   clock_monotonic_ms() + (int64_t)t->s->open.timeouts.block * 1000) == -1) {
      return -1;
    }
    t->end.bytes += n;
    if (done == total) {
      return 0;
    }
    len = total - done < CONTENT_CHUNK ? (size_t)(total - done) : CONTENT_CHUNK;
    if (io_pread_all(t->s->wire.job_fd, chunk, len, (off_t)(t->job->envelope_len + done)) == -1) {
      return -1;
    }
    data = chunk;
  }
}
