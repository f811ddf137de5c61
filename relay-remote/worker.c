/*
 * A worker: one MX connection, from O to the end. Forked from the master, uid
 * relayr, confined. Trusts relay-send, which tells it where to connect and
 * hands it one message at a time; trusts the MX in nothing. fd 2 is the log
 * (it waits for it), fd 3 the channel; it has no other but the MX's socket and
 * the message of the hour.
 */
#include "worker.h"

#include "clock.h"
#include "confine.h"
#include "drop.h"
#include "exits.h"
#include "io.h"
#include "report.h"
#include "seqpacket.h"
#include "session.h"
#include "tls_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPEN_SECONDS 60 /* relay-send makes a worker because it has an O for it */
#define CHANNEL_FD 3

static struct session session; /* too big for the stack, and there is only one */

_Noreturn static void die(const char *what)
{
  report_fatal_errno("worker: %s", what);
  _exit(EXIT_TEMPORARY);
}

static int get_demands(struct session *s, struct netstring_reader *r)
{
  for (uint32_t i = 0; i < s->open.host_count; i++) {
    if (work_get_tls(r, &s->tls[i]) == -1) {
      return -1;
    }
  }
  return 0;
}

static int get_open(struct session *s)
{
  static char data[SEQPACKET_MAX];
  struct netstring_reader r;
  int result = 0;
  char verb = 0;
  ssize_t n;

  n = seqpacket_recv_by(s->wire.channel, data, sizeof(data), NULL,
                        clock_monotonic_ms() + OPEN_SECONDS * 1000);
  if (n <= 0) {
    return -1;
  }
  netstring_open(&r, data, (size_t)n);
  if (netstring_get_char(&r, &verb) == -1 || verb != 'O' || work_get_open(&r, &s->open) == -1 ||
      get_demands(s, &r) == -1 || netstring_end(&r) == -1) {
    errno = EINVAL;
    result = -1;
  }
  tls_wipe(data, (size_t)n); /* sessions */
  return result;
}

/* Once there is a connection, its engine has what it needs of them. */
static void wipe_sessions(struct session *s)
{
  for (uint32_t i = 0; i < s->open.host_count; i++) {
    tls_wipe(s->tls[i].session, sizeof(s->tls[i].session));
    s->tls[i].session_len = 0;
  }
  tls_wipe(s->tls_result.session, sizeof(s->tls_result.session));
  s->tls_result.session_len = 0;
}

static int tell_connected(struct session *s, int64_t ms)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);
  char extensions[256];
  int result = -1;

  session_extensions(s, extensions, sizeof(extensions));
  /* Room for all of it: growing would leave a copy of the session behind. */
  if (buf_reserve(&b, SEQPACKET_MAX) == 0 && netstring_put_str(&b, "O") == 0 &&
      netstring_put_str(&b, s->host) == 0 && netstring_put_u64(&b, (uint64_t)ms) == 0 &&
      netstring_put_str(&b, extensions) == 0 && netstring_put_u64(&b, s->connected) == 0 &&
      work_put_tls_result(&b, &s->tls_result) == 0) {
    result = wire_tell(&s->wire, &b);
  }
  if (b.data) {
    tls_wipe(b.data, b.len);
  }
  buf_free(&b);
  wipe_sessions(s);
  return result;
}

static void tell_no_session(struct session *s, struct outcome *o)
{
  struct buf b = BUF_INIT(SEQPACKET_MAX);

  o->rcpt = 0;
  if (netstring_put_str(&b, "N") == 0 && outcome_put(&b, o) == 0) {
    wire_tell(&s->wire, &b);
  }
  buf_free(&b);
}

/* Transactions until the connection, relay-send or its patience ends. */
static void serve(struct session *s)
{
  while (s->usable && !s->wire.gone) {
    if (s->wire.have_job) {
      session_transaction(s);
      continue;
    }
    if (s->wire.quit) {
      session_quit(s);
      return;
    }
    if (wire_idle(&s->wire, clock_monotonic_ms() + (int64_t)s->open.timeouts.idle * 1000) == -1) {
      if (errno == ETIMEDOUT) {
        session_quit(s);
      }
      return;
    }
  }
}

static void confine(int channel)
{
  if (channel != CHANNEL_FD && dup2(channel, CHANNEL_FD) == -1) {
    die("unable to move its channel");
  }
  if (close_range(CHANNEL_FD + 1, ~0U, 0) == -1 || io_set_cloexec(CHANNEL_FD) == -1 ||
      io_set_nonblocking(CHANNEL_FD) == -1) {
    die("unable to close what is not its own");
  }
  if (drop_hide() == -1 || confine_network() == -1) {
    die("unable to confine itself");
  }
}

_Noreturn void worker_run(int channel)
{
  struct session *s = &session;
  struct outcome outcome = {0};
  int64_t start;

  confine(channel);
  loglines_init(&s->log, 2, false);
  wire_init(&s->wire, CHANNEL_FD, &s->log);
  if (get_open(s) == -1) {
    _exit(EXIT_TEMPORARY); /* relay-send is gone, or out of its mind: it sees the end of file */
  }
  start = clock_monotonic_ms();
  if (session_connect(s, &outcome) == 0) {
    if (tell_connected(s, clock_monotonic_ms() - start) == 0) {
      serve(s);
    }
  } else {
    loglines_flush(&s->log);
    tell_no_session(s, &outcome);
  }
  wire_close(&s->wire);
  loglines_flush(&s->log);
  _exit(EXIT_OK);
}
