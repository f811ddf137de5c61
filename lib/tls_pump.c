#include "tls_pump.h"

#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void tls_pump_open(struct tls_pump *p, br_ssl_engine_context *engine, int in, int out)
{
  p->engine = engine;
  p->in = in;
  p->out = out;
  p->self_timed = false;
  p->receive = NULL;
  p->send = NULL;
  p->end = TLS_OPEN;
  p->error = 0;
  p->raw_start = p->raw_end = 0;
}

/* Ends; errno says the same to a caller who asks no further. */
static int stop(struct tls_pump *p, enum tls_end end, int error)
{
  static const int as_errno[] = {[TLS_CLOSED] = EPIPE,
                                 [TLS_TRUNCATED] = ECONNRESET,
                                 [TLS_TIMEOUT] = ETIMEDOUT,
                                 [TLS_FAILED] = EPROTO};

  p->end = end;
  p->error = error;
  errno = end == TLS_LOST ? error : as_errno[end];
  return -1;
}

static int stop_errno(struct tls_pump *p)
{
  return stop(p, errno == ETIMEDOUT ? TLS_TIMEOUT : TLS_LOST, errno);
}

static int send_record(struct tls_pump *p, int64_t deadline)
{
  size_t len;
  const unsigned char *record = br_ssl_engine_sendrec_buf(p->engine, &len);

  if ((p->send ? p->send(p->arg, record, len, deadline)
               : io_write_all(p->out, record, len, deadline)) < 0) {
    /* A peer that said close_notify need not be there for the answer (RFC 5246 7.2.1). */
    if (p->engine->shutdown_recv) {
      return stop(p, TLS_CLOSED, BR_ERR_OK);
    }
    /* How much of the record has gone is not known: nothing can follow it. */
    return stop(p, TLS_LOST, errno);
  }
  br_ssl_engine_sendrec_ack(p->engine, len);
  return 0;
}

/* One read into raw, which is empty. As io_read(). */
static ssize_t fill(struct tls_pump *p, int64_t deadline)
{
  ssize_t n;

  if (p->receive) {
    return p->receive(p->arg, p->raw, sizeof p->raw, deadline);
  }
  if (p->self_timed) {
    n = read(p->in, p->raw, sizeof p->raw);
    if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      return n;
    }
  }
  return io_read(p->in, p->raw, sizeof p->raw, deadline);
}

/* Gives the engine what it wants next: a record's header, or the rest of it. */
static int receive(struct tls_pump *p, int64_t deadline)
{
  unsigned char *to;
  size_t room, have;
  ssize_t n;

  if (p->raw_start == p->raw_end) {
    p->raw_start = p->raw_end = 0;
    n = fill(p, deadline);
    if (n < 0) {
      return stop_errno(p);
    }
    if (n == 0) {
      return stop(p, TLS_TRUNCATED, BR_ERR_IO);
    }
    p->raw_end = (size_t)n;
  }
  to = br_ssl_engine_recvrec_buf(p->engine, &room);
  have = p->raw_end - p->raw_start;
  have = have < room ? have : room;
  memcpy(to, p->raw + p->raw_start, have);
  p->raw_start += have;
  br_ssl_engine_recvrec_ack(p->engine, have);
  return 0;
}

/* Moves records until the engine is in one of the wanted states. */
static int run(struct tls_pump *p, unsigned wanted, int64_t deadline)
{
  unsigned state;

  if (p->end == TLS_TIMEOUT) {
    p->end = TLS_OPEN;
  } else if (p->end != TLS_OPEN) {
    return stop(p, p->end, p->error);
  }
  for (;;) {
    state = br_ssl_engine_current_state(p->engine);
    if (state & BR_SSL_CLOSED) {
      int error = br_ssl_engine_last_error(p->engine);
      return stop(p, error == BR_ERR_OK ? TLS_CLOSED : TLS_FAILED, error);
    }
    if (state & BR_SSL_SENDREC) {
      if (send_record(p, deadline) < 0) {
        return -1;
      }
    } else if (state & wanted) {
      return 0;
    } else if (state & BR_SSL_RECVREC) {
      if (receive(p, deadline) < 0) {
        return -1;
      }
    } else { /* it wants the application to read or write first, which no order of ours needs */
      return stop(p, TLS_FAILED, BR_ERR_BAD_STATE);
    }
  }
}

int tls_pump_handshake(struct tls_pump *p, int64_t deadline)
{
  return run(p, BR_SSL_SENDAPP | BR_SSL_RECVAPP, deadline);
}

ssize_t tls_pump_read(struct tls_pump *p, void *data, size_t len, int64_t deadline)
{
  unsigned char *from;
  size_t have;

  if (run(p, BR_SSL_RECVAPP, deadline) < 0) {
    return p->end == TLS_CLOSED ? 0 : -1;
  }
  from = br_ssl_engine_recvapp_buf(p->engine, &have);
  have = have < len ? have : len;
  memcpy(data, from, have);
  tls_wipe(from, have); /* it may have been a password; the caller knows, and wipes its copy */
  br_ssl_engine_recvapp_ack(p->engine, have);
  return (ssize_t)have;
}

bool tls_pump_pending(const struct tls_pump *p)
{
  size_t len;

  return p->raw_start < p->raw_end || br_ssl_engine_recvapp_buf(p->engine, &len) != NULL;
}

int tls_pump_write_all(struct tls_pump *p, const void *data, size_t len, int64_t deadline)
{
  const unsigned char *from = data;
  unsigned char *to;
  size_t room;

  while (len > 0) {
    if (run(p, BR_SSL_SENDAPP, deadline) < 0) {
      return -1;
    }
    to = br_ssl_engine_sendapp_buf(p->engine, &room);
    room = room < len ? room : len;
    memcpy(to, from, room);
    br_ssl_engine_sendapp_ack(p->engine, room);
    from += room;
    len -= room;
  }
  br_ssl_engine_flush(p->engine, 0);
  return run(p, BR_SSL_SENDAPP, deadline);
}

void tls_pump_close(struct tls_pump *p, int64_t deadline)
{
  if (p->end == TLS_OPEN || p->end == TLS_TIMEOUT) {
    br_ssl_engine_close(p->engine);
    while (br_ssl_engine_current_state(p->engine) & BR_SSL_SENDREC) {
      if (send_record(p, deadline) < 0) {
        break;
      }
    }
  }
  tls_wipe(p->raw, p->raw_end);
  tls_wipe(p->engine->session.master_secret, sizeof p->engine->session.master_secret);
  tls_wipe(&p->engine->in, sizeof p->engine->in);
  tls_wipe(&p->engine->out, sizeof p->engine->out);
  stop(p, p->end == TLS_OPEN || p->end == TLS_TIMEOUT ? TLS_CLOSED : p->end, p->error);
}

void tls_pump_problem(const struct tls_pump *p, char out[TLS_ERROR_SIZE])
{
  static const char *const words[] = {[TLS_OPEN] = "none",
                                      [TLS_CLOSED] = "closed by the peer",
                                      [TLS_TRUNCATED] = "connection ended",
                                      [TLS_TIMEOUT] = "timeout"};

  if (p->end == TLS_FAILED) {
    tls_error_text(p->error, out);
  } else {
    snprintf(out, TLS_ERROR_SIZE, "%s", p->end == TLS_LOST ? strerror(p->error) : words[p->end]);
  }
}
