#ifndef WIRE_H
#define WIRE_H

#include "judge.h"
#include "loglines.h"
#include "work.h"

/*
 * The two sockets of a worker: the MX and relay-send. Every wait for the MX
 * of more than a moment listens to relay-send too. Functions return 0, or -1 with errno as judge.h
 * lists; all deadlines are on clock_monotonic_ms().
 */
#define WIRE_IN_SIZE 16384

/* A session's lines are held back so long, so that messages to a fast MX share a write. */
#define WIRE_LOG_DELAY_MS 50

struct wire {
  int mx; /* -1 when there is no connection */
  char in[WIRE_IN_SIZE];
  size_t in_pos, in_len; /* what the MX has sent and nobody has taken */

  int channel;    /* relay-send */
  bool gone;      /* it has closed its side: nobody is left to be told anything */
  bool quit;      /* it has said Q */
  bool cancelled; /* it has said X for the job */
  bool have_job;
  struct work_job job;
  int job_fd;    /* -1 when none came */
  bool past_dot; /* X comes too late */

  struct loglines *log;
};

void wire_init(struct wire *w, int channel, struct loglines *log);

/*
 * Connects to an address from source (family 0: the system's choice). 0, -1, or WIRE_NO_SOURCE
 * when this host cannot use that source: nobody was asked.
 */
#define WIRE_NO_SOURCE (-2)
int wire_connect(struct wire *w, const struct ip *source, const struct ip *ip, int port,
                 int64_t deadline);
void wire_close(struct wire *w);

int wire_write(struct wire *w, const char *data, size_t len, int64_t deadline);

/* One whole reply, each line logged and, if on_line is not NULL, shown. */
int wire_reply(struct wire *w, struct mxreply *r, int64_t deadline,
               void (*on_line)(void *arg, const struct mxreply *r), void *arg);

/* True if bytes wait that answer nothing. Asks only what was read already. */
bool wire_unsolicited(const struct wire *w);

/* Takes one datagram of relay-send's, if one is there. -1 with ECANCELED if the job is not wanted
 * any more. */
int wire_listen(struct wire *w);

/*
 * Without a transaction: waits for relay-send. Returns 0 when a job or Q is
 * there or relay-send is gone; -1 with ENOTCONN when the MX has closed or
 * said something, or ETIMEDOUT.
 */
int wire_idle(struct wire *w, int64_t deadline);

/* Sends a datagram to relay-send, waiting as long as it takes. */
int wire_tell(struct wire *w, const struct buf *datagram);
/* Several datagrams in one system call. */
int wire_tell_all(struct wire *w, const struct buf *datagrams, size_t count);

#endif
