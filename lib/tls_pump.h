#ifndef TLS_PUMP_H
#define TLS_PUMP_H

#include "tls_engine.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * Drives a BearSSL engine over a socket (or two pipes), with deadlines on the
 * clock of clock_monotonic_ms(), as io.h does for plain bytes. Knows nothing
 * of server or client. Meant to be static: pages that are not used cost
 * nothing.
 *
 * BearSSL's last_error alone tells a clean end from a truncated one; here it
 * is `end`.
 */
enum tls_end {
  TLS_OPEN,      /* not ended */
  TLS_CLOSED,    /* the peer said close_notify: a clean end */
  TLS_TRUNCATED, /* the connection ended without it */
  TLS_TIMEOUT,   /* the deadline passed; after a read it may be tried again */
  TLS_LOST,      /* a system call failed: error is its errno */
  TLS_FAILED     /* the protocol failed: error is BearSSL's, the alert was sent if there is one */
};

#define TLS_RAW_SIZE 16384 /* bytes taken from the kernel in one read */

struct tls_pump {
  br_ssl_engine_context *engine;
  int in, out;
  bool self_timed; /* a read of `in` ends by itself after a moment (SO_RCVTIMEO): poll() is saved */
  enum tls_end end;
  int error;
  size_t raw_start, raw_end; /* of what was read and not yet given to the engine */
  unsigned char raw[TLS_RAW_SIZE];
};

/* engine is ready (reset). The descriptors stay the caller's. */
void tls_pump_open(struct tls_pump *p, br_ssl_engine_context *engine, int in, int out);

/* 0 when the handshake is over and all of it is sent, else -1. */
int tls_pump_handshake(struct tls_pump *p, int64_t deadline);

/*
 * Some bytes, at most len; 0 after a clean end; -1 otherwise, errno ETIMEDOUT
 * for TLS_TIMEOUT, ECONNRESET for TLS_TRUNCATED, EPROTO for TLS_FAILED.
 */
ssize_t tls_pump_read(struct tls_pump *p, void *data, size_t len, int64_t deadline);

/* True when bytes from the peer are here already, so that a poll() would not see them. */
bool tls_pump_pending(const struct tls_pump *p);

/* All of it, sent, or -1 with errno as above (EPIPE after the peer's close). */
int tls_pump_write_all(struct tls_pump *p, const void *data, size_t len, int64_t deadline);

/* Says close_notify, without waiting for the peer's. The secrets are wiped in any case. */
void tls_pump_close(struct tls_pump *p, int64_t deadline);

/* Why it ended, in words, for a log line. */
void tls_pump_problem(const struct tls_pump *p, char out[TLS_ERROR_SIZE]);

#endif
