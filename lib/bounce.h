#ifndef BOUNCE_H
#define BOUNCE_H

#include "verdict.h"

/*
 * The socketpair between relay-queue and relay-bounce; one job at a time.
 *
 *   job     kind serial envelope_len content_len now n (+ fd), then n of
 *           bounce_rcpt. More than BOUNCE_RCPTS_PER_PART recipients: further
 *           datagrams of "+" and up to that many bounce_rcpt.
 *   answer  serial ok envelope_len content_len text (+ fd)
 *           ok 1: a sealed memfd with the DSN, laid out like any message
 *           (envelope.h), and to be queued as such; 0: none could be made (text
 *           says why); 2: none is due (text says why), the recipients end.
 *
 * kind 'f' failed, 'd' delayed, 's' relayed to a server without DSN.
 */
#define BOUNCE_RCPTS_PER_PART 40

struct bounce_rcpt {
  struct outcome outcome; /* outcome.rcpt: the index in the original's envelope */
  uint32_t attempts;
  int64_t when; /* wall clock ms of that outcome */
};

struct bounce_job {
  char kind;
  uint64_t serial;
  uint64_t envelope_len, content_len;
  int64_t now;
  uint32_t rcpt_count; /* over all parts */
};

int bounce_put_job(struct buf *b, const struct bounce_job *j);
int bounce_get_job(struct netstring_reader *r, struct bounce_job *j);
int bounce_put_rcpt(struct buf *b, const struct bounce_rcpt *r);
int bounce_get_rcpt(struct netstring_reader *r, struct bounce_rcpt *rcpt);

struct bounce_answer {
  uint64_t serial;
  int ok;
  uint64_t envelope_len, content_len;
  char text[256];
};

int bounce_put_answer(struct buf *b, const struct bounce_answer *a);
int bounce_get_answer(const char *data, size_t len, struct bounce_answer *a);

#endif
