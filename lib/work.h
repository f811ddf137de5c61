#ifndef WORK_H
#define WORK_H

#include "envelope.h"
#include "ip.h"
#include "verdict.h"

/*
 * How relay-send has work done. Netstring fields, the first is the verb.
 *
 * With the master of relay-remote, one socketpair:
 *   master to relay-send:  Q (+ fd): the resolver's channel (resolve.h), once.
 *   relay-send to master:  W token: one more worker.
 *   master to relay-send:  W token pid (+ fd): its channel. | F token text
 *
 * With a worker, one socketpair each. A worker serves one MX connection and
 * ends with it; relay-send sees end-of-file when it is gone.
 *   relay-send to worker:
 *     O  work_open: where to connect and how; once, first.
 *     J  token id envelope_len content_len n, then n recipient indexes (+ fd):
 *        one transaction; the next only after this one's E. With an fd to be
 *        read with pread.
 *     X  token: cancel that transaction unless its final dot has been sent.
 *     Q  say QUIT and end.
 *   worker to relay-send:
 *     O  host ms extensions n: connected to host n of the open's list, and
 *        greeted; before the first R. host is its name for people.
 *     N  outcome: no session could be had at all (rcpt is 0); always a deferral.
 *        The worker ends.
 *     D  token: the final dot is about to be sent; X comes too late from here.
 *        Not sent for a message of one piece (WORK_PIECE_BYTES): its dot may
 *        have been sent at any time after J.
 *     R  token n, then n outcomes: some recipients of the transaction.
 *     E  token keep dsn stale ms_mail ms_rcpt ms_dot bytes: all outcomes are
 *        told. keep 0: the connection is over and the worker ends. dsn 1: the
 *        MX offered DSN, so success is its to report. stale 1: the kept
 *        connection was dead before anything of this transaction was
 *        accepted; no outcome was told, try on another connection at once.
 *        ms_*: the slowest reply of that kind, -1 for none.
 *
 * A worker whose relay-send is gone sends no final dot.
 */
#define WORK_HOSTS_MAX 5 /* addresses tried in an attempt */
#define WORK_RCPTS_MAX 100 /* recipients in a transaction; RFC 5321 4.5.3.1.8 */
#define WORK_WORKERS_MAX 10000 /* at a time: the most that control/concurrencyremote can say */
#define WORK_PIECE_BYTES (128 << 10) /* of content, read and written at a time */

struct work_host {
  char name[256]; /* "" for an address literal */
  struct ip ip;
  int port;
};

/* Seconds. RFC 5321 4.5.3.2 and control/timeout*. */
struct work_timeouts {
  uint32_t connect, banner, helo, mail, rcpt, data, block, dot, quit, idle;
};

struct work_open {
  char helo[256];
  struct ip source4, source6; /* both family 0: the system's choice; of one, no host is named */
  struct work_timeouts timeouts;
  struct work_host hosts[WORK_HOSTS_MAX];
  uint32_t host_count;
};

int work_put_open(struct buf *b, const struct work_open *o);
int work_get_open(struct netstring_reader *r, struct work_open *o); /* after the verb */

struct work_job {
  uint64_t token;
  char id[ID_SIZE];
  uint64_t envelope_len, content_len;
  uint32_t rcpts[WORK_RCPTS_MAX]; /* indexes in the envelope */
  uint32_t rcpt_count;
};

int work_put_job(struct buf *b, const struct work_job *j);
int work_get_job(struct netstring_reader *r, struct work_job *j);

struct work_end {
  uint64_t token;
  bool keep, dsn, stale;
  int64_t ms_mail, ms_rcpt, ms_dot;
  uint64_t bytes;
};

int work_put_end(struct buf *b, const struct work_end *e);
int work_get_end(struct netstring_reader *r, struct work_end *e);

#endif
