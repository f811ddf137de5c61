#include "queue_handout.h"

#include "io.h"
#include "memfd.h"
#include "queue_big.h"
#include "queue_dispatch.h"
#include "queue_trial.h"
#include "report.h"
#include "seqpacket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct handout {
  struct disk_job job;
  struct queue *queue;
  uint64_t token, serial, offset;
  uint32_t segment, rcpt;
  struct index_rcpt at;
  char big[EXTRA_NAME_SIZE];
  int fd, error;
  char text[OUTCOME_HOST_SIZE + OUTCOME_REPLY_SIZE + 32];
};

int handout_head(struct store *s, uint32_t segment, uint64_t offset, struct record *r,
                 struct buf *b)
{
  struct store_segment *found = store_find(s, segment);

  buf_reset(b);
  if (!found) {
    errno = ENOENT;
    return -1;
  }
  if (buf_reserve(b, RECORD_HEADER) == -1 ||
      store_read(s, segment, b->data, RECORD_HEADER, offset) == -1) {
    return -1;
  }
  if (record_get(b->data, r) == -1) {
    errno = EILSEQ;
    return -1;
  }
  b->len = RECORD_HEADER;
  if (buf_reserve(b, record_head_len(r)) == -1 ||
      store_read(s, segment, b->data + b->len, record_head_len(r), offset + b->len) == -1) {
    return -1;
  }
  b->len += record_head_len(r);
  found = store_find(s, segment);
  if (!record_head_valid(b->data, r, segment, found->key)) {
    errno = EILSEQ;
    return -1;
  }
  return 0;
}

/* The content of a MESSAGE behind its head. 0 or -1. */
static int read_content(struct store *s, uint32_t segment, uint64_t offset, const struct record *r,
                        struct buf *b)
{
  if (buf_reserve(b, r->content_len) == -1 ||
      store_read(s, segment, b->data + b->len, r->content_len, offset + b->len) == -1) {
    return -1;
  }
  if (record_content_sum(b->data + b->len, r->content_len) != r->content_sum) {
    errno = EILSEQ;
    return -1;
  }
  b->len += r->content_len;
  return 0;
}

int handout_copy(struct store *s, uint32_t segment, uint64_t offset, const char *big)
{
  struct buf b = BUF_INIT(SIZE_MAX / 2);
  struct record r;
  size_t head;
  int fd = -1;

  if (handout_head(s, segment, offset, &r, &b) == -1) {
    goto cleanup;
  }
  fd = memfd_make("message");
  if (fd == -1) {
    goto cleanup;
  }
  head = b.len;
  if (io_pwrite_all(fd, b.data + RECORD_HEADER, r.envelope_len, 0) == -1) {
    goto fail;
  }
  if (r.type == RECORD_BIG) {
    if (big_copy(s, big, r.content_len, r.content_sum, fd, r.envelope_len) == -1) {
      goto fail;
    }
  } else if (read_content(s, segment, offset, &r, &b) == -1 ||
             io_pwrite_all(fd, b.data + head, r.content_len, r.envelope_len) == -1) {
    goto fail;
  }
  if (memfd_seal(fd) == 0) {
    goto cleanup;
  }

fail:
  close(fd);
  fd = -1;
cleanup:
  buf_free(&b);
  return fd;
}

int handout_outcome(struct store *s, const struct index_rcpt *at, uint32_t rcpt, struct entry *e)
{
  struct buf b = BUF_INIT(RECORD_HEADER + RECORD_HEAD_MAX);
  struct netstring_reader reader;
  struct record r;
  int result = -1;

  if (handout_head(s, at->segment, (uint64_t)at->position * RECORD_ALIGN, &r, &b) == -1) {
    goto cleanup;
  }
  errno = ENOENT;
  netstring_open(&reader, b.data + RECORD_HEADER + r.envelope_len, r.states_len);
  while (netstring_more(&reader) && entry_get(&reader, e) == 0) {
    if (e->rcpt == rcpt && e->has_outcome) {
      result = 0;
      break;
    }
  }

cleanup:
  buf_free(&b);
  return result;
}

static void run_message(struct disk_job *job)
{
  struct handout *h = CONTAINER(job, struct handout, job);

  h->fd = handout_copy(&h->queue->store, h->segment, h->offset, h->big);
  h->error = errno;
}

static void answer_message(struct queue *q, uint64_t serial, int fd, const char *text)
{
  struct buf b = BUF_INIT(1024);

  if (netstring_put_str(&b, "F") == -1 || netstring_put_u64(&b, serial) == -1 ||
      netstring_put_u64(&b, fd != -1) == -1 || netstring_put_str(&b, text) == -1) {
    queue_die("answer relay-send: out of memory");
  }
  dispatch_send(q, &b, fd);
  buf_free(&b);
}

static void done_message(struct disk_job *job)
{
  struct handout *h = CONTAINER(job, struct handout, job);
  const char *text = "";

  if (h->fd == -1) {
    text = h->error == EILSEQ ? "the message is damaged in the queue" : strerror(h->error);
    report_warning("unable to read message %llu (segment %u, byte %llu): %s",
                   (unsigned long long)h->serial, h->segment, (unsigned long long)h->offset, text);
  }
  if (h->queue->ending) {
    close(h->fd);
  } else {
    answer_message(h->queue, h->serial, h->fd, text);
  }
  free(h);
}

void handout_message(struct queue *q, struct netstring_reader *r)
{
  struct index_message *m;
  struct trial *t;
  struct handout *h;
  uint64_t serial;
  int fd;

  netstring_get_u64(r, UINT64_MAX, &serial);
  if (netstring_end(r) == -1) {
    report_warning("relay-send sent a garbled request for a message");
    return;
  }
  t = trial_find(q, serial);
  if (t) {
    fd = fcntl(t->submission->fd, F_DUPFD_CLOEXEC, 0);
    answer_message(q, serial, fd, fd == -1 ? strerror(errno) : "");
    return;
  }
  m = index_find(&q->index, serial);
  h = m && m->segment ? calloc(1, sizeof(*h)) : NULL;
  if (!h) {
    answer_message(q, serial, -1, m ? "out of memory" : "no such message");
    return;
  }
  h->job.run = run_message;
  h->job.done = done_message;
  h->queue = q;
  h->serial = serial;
  h->segment = m->segment;
  h->offset = (uint64_t)m->position * RECORD_ALIGN;
  snprintf(h->big, sizeof(h->big), "%s", m->big ? m->big : "");
  disk_put(&q->disk, &h->job, DISK_READ);
}

static void run_words(struct disk_job *job)
{
  struct handout *h = CONTAINER(job, struct handout, job);
  struct entry e;

  if (h->at.segment != 0 && handout_outcome(&h->queue->store, &h->at, h->rcpt, &e) == 0) {
    snprintf(h->text, sizeof(h->text), "%s%s%s", e.outcome.host, e.outcome.host[0] ? " said: " : "",
             e.outcome.reply);
  }
}

static void done_words(struct disk_job *job)
{
  struct handout *h = CONTAINER(job, struct handout, job);
  struct buf b = BUF_INIT(4096);

  if (!h->queue->ending) {
    if (netstring_put_str(&b, "Y") == -1 || netstring_put_u64(&b, h->token) == -1 ||
        netstring_put_str(&b, h->text) == -1) {
      queue_die("answer relay-send: out of memory");
    }
    dispatch_send(h->queue, &b, -1);
  }
  buf_free(&b);
  free(h);
}

void handout_last_words(struct queue *q, struct netstring_reader *r)
{
  struct index_message *m;
  struct handout *h;
  uint64_t token, serial, rcpt;

  netstring_get_u64(r, UINT64_MAX, &token);
  netstring_get_u64(r, UINT64_MAX, &serial);
  netstring_get_u64(r, ENVELOPE_RCPTS_MAX, &rcpt);
  if (netstring_end(r) == -1) {
    report_warning("relay-send sent a garbled question");
    return;
  }
  h = calloc(1, sizeof(*h));
  if (!h) {
    queue_die("answer relay-send: out of memory");
  }
  h->job.run = run_words;
  h->job.done = done_words;
  h->queue = q;
  h->token = token;
  h->rcpt = (uint32_t)rcpt;
  m = index_find(&q->index, serial);
  if (m && rcpt < m->rcpt_count) {
    h->at = m->rcpts[rcpt];
  }
  disk_put(&q->disk, &h->job, DISK_READ);
}
